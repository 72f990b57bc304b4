"""What a tower makes of one user is the same to the last bit, whoever else is in the batch: lists are made in parts."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rec_export.data.columns import Int64
from rec_export.histories import HistoryEncoder, RecentEncoder
from rec_export.layers import BagEncoder
from rec_export.scorer import in_blocks
from rec_export.towers import Inputs, TableSizes

ROWS = 50
CPU = torch.device("cpu")


def histories(rates: int, dim: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A history encoder with vectors of its own."""
    encoder = HistoryEncoder(TableSizes(rows=ROWS), dim, rates)
    encoder.table = torch.cat([torch.randn(ROWS, dim), torch.zeros(1, dim)])
    return encoder


def recent(heads: int, dim: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Attention to the newest items of such histories."""
    looked, attention = histories(1, dim), RecentEncoder(dim, heads)
    assert isinstance(looked, HistoryEncoder)
    return lambda history, length: attention(*looked.look_up(history, length, 30))


def bags(_: int, dim: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean of the same rows as a bag."""
    encoder = BagEncoder(ROWS, dim, std=1.0).eval()
    return lambda history, length: encoder(history)


def projected(width: int, dim: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A product with rows of so many numbers, and one more, that begin anywhere in a line of the cache."""
    linear = nn.Linear(71 + width, dim + 1)
    return lambda history, length: linear(torch.cat([history, length.unsqueeze(1).expand(-1, 1 + width)], 1).float())


@pytest.mark.parametrize("dim", [1, 8, 16, 64, 90])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("made", [histories, recent, bags, projected])
def test_a_user_does_not_depend_on_the_others_in_the_batch(
    made: Callable[[int, int], Callable[[Tensor, Tensor], Tensor]], count: int, dim: int
) -> None:
    torch.manual_seed(dim + count)
    length = torch.arange(600) % 67
    history = torch.randint(ROWS, (600, 70)).masked_fill(torch.arange(70) >= length.unsqueeze(1), -1)
    encoder = made(count, dim)

    def tower(inputs: Inputs) -> Tensor:
        with torch.inference_mode():
            return encoder(inputs["history"], inputs["length"])

    def vectors(row: Int64) -> Tensor:
        return in_blocks(tower, lambda some: {"history": history[some], "length": length[some]}, row, CPU)

    whole = vectors(np.arange(600))
    for some in (np.array([5]), np.arange(3, 9), np.arange(60, 540, 2), np.arange(600)[::-1].copy()):
        assert torch.equal(vectors(some), whole[some])


@pytest.mark.parametrize(("rows", "calls"), [(0, [0]), (1, [240]), (600, [720]), (20_000, [16_320, 3840])])
def test_features_are_looked_up_for_many_blocks_at_once(
    rows: int, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    told, sizes = [], set()

    def inputs(row: Int64) -> Inputs:
        told.append(len(row))
        return {"row": torch.from_numpy(row)}

    def tower(inputs: Inputs) -> Tensor:
        sizes.add(len(inputs["row"]))
        return inputs["row"].float().unsqueeze(1)

    row = np.arange(rows)[::-1].copy()
    assert in_blocks(tower, inputs, row, CPU)[:, 0].tolist() == row.tolist()
    assert (told, sizes) == (calls, {240} if rows else {0})


def test_what_is_no_tag_counts_for_nothing_in_training_and_after_it_whatever_was_stored() -> None:
    torch.manual_seed(5)
    encoder = BagEncoder(4, 3, std=1.0)
    table = torch.randn(5, 3)  # of a version whose last row was not zero
    encoder.load_state_dict({"embedding.table.weight": table})
    tags = torch.tensor([[0, 3, -1], [2, 4, 2**40], [-(2**63), 2**63 - 1, -1], [1, 1, 2]])
    zero = torch.zeros(3)
    wanted = torch.stack([(table[0] + table[3]) / 2, table[2], zero, (table[1] + table[1] + table[2]) / 3])
    for training in (True, False):
        torch.testing.assert_close(encoder.train(training)(tags), wanted)
        assert encoder(tags[:0]).shape == (0, 3)
        assert torch.equal(encoder(tags[:, :0]), torch.zeros(4, 3))
    encoder.train()(tags).sum().backward()
    slope = encoder.embedding.table.weight.grad
    assert slope is not None
    assert torch.equal(slope[-1], zero)
