"""A program of torch.export is written without steps that change nothing, and gives what it gave."""

from pathlib import Path

import torch
from torch import Tensor, nn

from exporters.program import CHECK, shorten
from rec_export.pt2 import function_of, pt2_bytes
from rec_export.runtime import pt2_tower


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


class Writing(nn.Module):
    """Two tensors that are equal until one of them is written into."""

    def forward(self, row: Tensor) -> Tensor:
        """float32 [B, D] -> float32 [B, D]."""
        first, second = torch.zeros_like(row), torch.zeros_like(row)
        first += row
        return first + second


def test_steps_are_not_taken_for_the_same_where_one_is_written_into() -> None:
    module, row = Writing().eval(), torch.ones(3, 2)
    program = torch.export.export(module, (row,), dynamic_shapes={"row": {0: torch.export.Dim("B")}})
    shorten(program.graph)
    assert torch.equal(program.module()(row), row)


class Placed(nn.Module):
    """A tensor is made on the device that the program was exported on, and a type is checked there."""

    def forward(self, row: Tensor) -> Tensor:
        """int64 [B] -> float32 [B]."""
        return (row + torch.arange(1, device=row.device)).to(torch.float32)


def test_a_program_runs_on_the_device_that_it_is_moved_to(tmp_path: Path) -> None:
    row = torch.zeros(3, dtype=torch.int64)
    program = torch.export.export(Placed().eval(), (row,), dynamic_shapes={"row": {0: torch.export.Dim("B")}})
    (tmp_path / "tower.pt2").write_bytes(pt2_bytes(program, {}))
    elsewhere = torch.device("meta")  # another one that every machine has
    assert pt2_tower(tmp_path / "tower.pt2", elsewhere)({"row": row}).device == elsewhere
