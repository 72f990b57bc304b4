"""The compiled steps are those of the paper, and draw what they should."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.pairwise import Likings, Tables, drawn, learn

USERS, ITEMS, DIM = 3, 7, 5


def tables(seed: int) -> Tables:
    """Small random weights, and squares as if steps had gone before."""
    rng = np.random.default_rng(seed)
    shapes = (USERS, DIM), (ITEMS, DIM), (ITEMS,)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    squares = [rng.random(rows).astype(np.float32) for rows in (USERS, ITEMS)]
    return Tables(*weights, *squares)


def likings(*pairs: tuple[int, int]) -> Likings:
    """Who likes what; each weighs 1.5."""
    user, item = np.array(sorted(pairs), np.int32).T
    weight = np.full(len(pairs), 1.5, np.float32)
    return Likings(user.copy(), item.copy(), weight, np.searchsorted(user, np.arange(USERS + 1)))


def learned(
    before: Tables, liked: Likings, reject: bool, decay: float = 0.0, rate: float = 0.1
) -> tuple[Tables, float]:
    """The tables after one pass in order, and the sum of the losses."""
    after = Tables(*(table.copy() for table in before))
    order = np.arange(len(liked.user), dtype=np.int32)
    return after, learn(after, liked, order, reject, np.float32(rate), np.float32(decay), np.uint64(8))


@pytest.mark.parametrize("seed", range(3))
def test_a_step_is_adagrad_by_row_on_the_gradient_that_torch_finds(seed: int) -> None:
    before, rate, decay = tables(seed), 0.1, 0.02
    full = [(0, item) for item in range(ITEMS) if item != 4]  # so that 4 is the one that is drawn
    liked = likings(*full)
    after = Tables(*(table.copy() for table in before))
    order = np.array([2], np.int32)
    loss = learn(after, liked, order, True, np.float32(rate), np.float32(decay), np.uint64(8))

    user, item, bias = (torch.from_numpy(table.copy()).requires_grad_() for table in before[:3])
    gap = (user[0] * (item[2] - item[4])).sum() + bias[2] - bias[4]
    expected = -1.5 * torch.nn.functional.logsigmoid(gap)
    expected.backward()
    expected = expected.detach()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert user.grad is not None
    assert item.grad is not None
    assert bias.grad is not None
    slopes = user.grad.numpy(), np.concatenate([item.grad.numpy(), bias.grad.numpy()[:, None]], 1)
    weights = before.user, np.concatenate([before.item, before.bias[:, None]], 1)
    got = (after.user, after.user_square), (np.concatenate([after.item, after.bias[:, None]], 1), after.item_square)
    for (now, now_square), weight, slope, square in zip(got, weights, slopes, before[3:], strict=True):
        moved = np.abs(slope).sum(1) > 0
        square = square + (slope**2).mean(1)
        speed = (rate / np.sqrt(square) * moved)[:, None]
        np.testing.assert_allclose(now_square, square, rtol=1e-5)
        np.testing.assert_allclose(now, weight - speed * (slope + 1.5 * decay * weight), rtol=1e-4, atol=1e-6)


@given(liked=st.sets(st.integers(0, 19), max_size=19), key=st.integers(0, 2**64 - 1))
def test_what_is_drawn_is_not_liked(liked: set[int], key: int) -> None:
    column = np.array([5, *sorted(liked), 5], np.int32)  # a user's place between others
    assert drawn(column, 1, 1 + len(liked), 20, np.uint64(key)) in set(range(20)) - liked


def test_each_other_item_is_drawn_as_often() -> None:
    column = np.array([0, 3, 4, 9], np.int32)
    draws = 60_000
    found = np.bincount([drawn(column, 0, 4, 10, np.uint64(key)) for key in range(draws)], minlength=10)
    assert found[column].tolist() == [0, 0, 0, 0]
    rest = np.delete(found, column)
    assert np.abs(rest - draws / 6).max() < 5 * np.sqrt(draws / 6)


def test_a_user_who_likes_everything_is_passed_over() -> None:
    before = tables(0)
    after, loss = learned(before, likings(*((1, item) for item in range(ITEMS))), reject=True)
    assert loss == 0
    for now, was in zip(after, before, strict=True):
        np.testing.assert_array_equal(now, was)


def test_without_rejection_such_a_user_is_learned_from() -> None:
    _, loss = learned(tables(0), likings(*((1, item) for item in range(ITEMS))), reject=False)
    assert loss > 0
