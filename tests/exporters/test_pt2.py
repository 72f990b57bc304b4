"""A program of torch.export is written without steps that change nothing, and gives what it gave."""

import torch
from torch import Tensor, nn

from exporters.pt2 import CHECK, shorten
from rec_export.pt2 import function_of


class Repeated(nn.Module):
    """The same look-up twice, a slice of everything, and a type that is checked."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)

    def forward(self, row: Tensor) -> Tensor:
        """int64 [B] -> float32 [B, 7]."""
        both = [self.table(torch.where(row < 0, 4, row)) for _ in range(2)]
        return torch.cat([*both, (row[:] < 2).to(torch.float32).unsqueeze(1)], 1)


def test_what_changes_nothing_is_left_out() -> None:
    module, row = Repeated().eval(), torch.tensor([-3, 0, 1, 4])
    program = torch.export.export(module, (row,), dynamic_shapes={"row": {0: torch.export.Dim("B")}})
    shorten(program.graph)
    targets = [node.target for node in program.graph.nodes if node.op == "call_function"]
    kept = (
        "lt.Scalar",
        "where.ScalarSelf",
        "embedding.default",
        "lt.Scalar",
        "to.dtype",
        "unsqueeze.default",
        "cat.default",
    )
    assert [str(target).removeprefix("aten.") for target in targets] == list(kept)
    assert CHECK not in targets
    for rows in (row, row[:1]):
        assert torch.equal(program.module()(rows), module(rows))
        with torch.inference_mode():
            assert torch.equal(function_of(program)({"row": rows}), module(rows))
