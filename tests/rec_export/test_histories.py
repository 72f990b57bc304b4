"""A history as sums of its items' vectors: while a batch is learned, as afterwards."""

import pytest
import torch
from torch import Tensor

from rec_export import histories
from rec_export.histories import HistoryEncoder
from rec_export.towers import Dense, TableSizes

ROWS, DIM = 30, 6


def learned(rates: int) -> tuple[HistoryEncoder, Tensor]:
    """A history encoder and vectors of its items, which may have gradients."""
    encoder = HistoryEncoder(TableSizes(rows=ROWS), DIM, rates)
    return encoder, torch.cat([torch.randn(ROWS, DIM), torch.zeros(1, DIM)]).requires_grad_()


@pytest.mark.parametrize("rates", [1, 3])
@pytest.mark.parametrize("longest", [1, 12])
def test_a_batch_in_training_has_the_sums_and_the_gradients_of_the_whole_table(rates: int, longest: int) -> None:
    torch.manual_seed(rates + longest)
    encoder, vectors = learned(rates)
    length = torch.arange(40) % (longest + 1)
    history = torch.randint(ROWS, (40, longest)).masked_fill(torch.arange(longest) >= length.unsqueeze(1), -1)
    history[7:9] = 2**40  # no item of the table
    history[::5, longest // 2] = -1  # an item that is hidden
    length[::9] += 3  # more than there is room for
    slope = torch.randn(40, rates * DIM)
    told = []
    for way in ("table", "met"):
        encoder.table, encoder.met = (vectors, None) if way == "table" else (encoder.table, vectors)
        total = encoder(history, length)
        told.append((total, *torch.autograd.grad(total, (vectors, encoder.log_rates), slope)))
    (product, vectors_product, rates_product), (bag, vectors_bag, rates_bag) = told
    torch.testing.assert_close(bag, product)
    torch.testing.assert_close(vectors_bag[:ROWS], vectors_product[:ROWS])  # the last row is no item
    torch.testing.assert_close(rates_bag, rates_product)


@pytest.mark.parametrize("ids", [True, False])
def test_histories_of_items_with_attributes_are_learned_in_bfloat16(ids: bool) -> None:
    encoder = HistoryEncoder(TableSizes(rows=ROWS, tags=4), DIM, 3, ids=ids)
    inputs = {"row": torch.arange(ROWS), "tags": torch.randint(4, (ROWS, 2))}
    history, length = torch.randint(ROWS, (8, 5)), torch.full((8,), 5)
    with torch.autocast("cpu", torch.bfloat16):
        encoder.meet(inputs)
        total = encoder(history, length)
    total.sum().backward()
    gradients = [weight.grad for weight in encoder.parameters()]
    assert [gradient is not None and bool(gradient.any()) for gradient in gradients] == [True] * len(gradients)


@pytest.mark.parametrize("rates", [1, 3])
@pytest.mark.parametrize("users", [0, 2])
@pytest.mark.parametrize("longest", [0, 4])
def test_a_batch_in_which_nothing_was_liked_is_learned_from(rates: int, users: int, longest: int) -> None:
    encoder, vectors = learned(rates)
    encoder.met = vectors
    total = encoder(torch.full((users, longest), -1), torch.zeros(users, dtype=torch.int64))
    total.sum().backward()
    assert torch.equal(total, torch.zeros(users, rates * DIM))


@pytest.mark.parametrize("most", [1, 3, 12, 40])
@pytest.mark.parametrize("longest", [0, 1, 12])
def test_the_newest_items_are_looked_up_as_all_would_be(most: int, longest: int) -> None:
    torch.manual_seed(most)
    encoder, vectors = learned(1)
    encoder.table = vectors
    length = torch.arange(40) % (longest + 1)
    history = torch.randint(ROWS, (40, longest)).masked_fill(torch.arange(longest) >= length.unsqueeze(1), -1)
    history[7] = 2**40  # no item of the table
    history[::5] = history[::5].masked_fill(torch.arange(longest) == longest // 2, -1)  # an item that is hidden
    length[0] = -(2**63) + 5
    encoder.met = vectors
    assert encoder.look_up(history, length, most)[0].shape[1] == min(most, longest)  # no wider than the batch
    encoder.met = None
    found, age, live = encoder.look_up(history, length, most)
    row, every_age, known = encoder.known(history, length)
    wanted = known & (every_age < most)
    assert found.shape == (40, most, DIM)
    assert torch.equal(found[live], vectors[row[wanted]])
    assert torch.equal(age[live], every_age[wanted])
    assert torch.equal(live.sum(1), wanted.sum(1))


@pytest.mark.parametrize("rows", [ROWS + 1, 1])  # as it was, and cut for a training that shares it out
def test_the_table_of_all_items_is_computed_in_parts(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = TableSizes(rows=ROWS, dense=(Dense(median=0.0, mean=0.0, std=1.0),))
    encoder = HistoryEncoder(sizes, DIM, 2)
    items = {"row": torch.arange(ROWS), "dense": torch.randn(ROWS, 1)}
    monkeypatch.setattr(histories, "ROWS", 7)
    encoder.table = torch.zeros(rows, DIM)
    encoder.refresh(items)
    with torch.no_grad():
        torch.testing.assert_close(encoder.table, encoder.with_none(items))
