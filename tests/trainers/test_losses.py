"""Losses are their formulas, written down pair by pair."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trainers.losses import Pairs, bce, bpr, full_softmax, none_of, sampled_softmax

B, C, T = 3, 5, 4
SCORE = st.lists(st.floats(-3, 3, width=32), min_size=B * C, max_size=B * C).map(lambda v: torch.tensor(v).view(B, C))
OWN = st.lists(st.floats(-3, 3, width=32), min_size=T, max_size=T).map(torch.tensor)
OWNER = st.lists(st.integers(0, B - 1), min_size=T, max_size=T).map(torch.tensor)
WEIGHT = st.lists(st.floats(0.125, 2, width=32), min_size=T, max_size=T).map(torch.tensor)
CELLS = st.sets(st.tuples(st.integers(0, B - 1), st.integers(0, C - 1)), min_size=1, max_size=6)


def pairs(cells: set[tuple[int, int]]) -> Pairs:
    """Cells as two columns."""
    return Pairs(*(torch.tensor(column) for column in zip(*sorted(cells), strict=True)))


def total(each: list[float], weight: Tensor) -> float:
    """The weighted sum."""
    return sum(e * w for e, w in zip(each, weight.tolist(), strict=True))


def free(score: Tensor, row: int, cells: set[tuple[int, int]]) -> list[float]:
    """The scores of a user's candidates that are not taken."""
    return [float(score[row, column]) for column in range(C) if (row, column) not in cells]


@given(score=SCORE, own=OWN, owner=OWNER, weight=WEIGHT, cells=CELLS)
def test_bpr_is_the_mean_over_free_candidates(
    score: Tensor, own: Tensor, owner: Tensor, weight: Tensor, cells: set[tuple[int, int]]
) -> None:
    each = []
    for mine, row in zip(own.tolist(), owner.tolist(), strict=True):
        others = free(score, row, cells)
        each.append(sum(math.log1p(math.exp(-(mine - s))) for s in others) / max(len(others), 1))
    assert float(bpr(score, own, owner, weight, pairs(cells))) == pytest.approx(total(each, weight), rel=1e-4, abs=1e-6)


def test_bpr_of_many_targets_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so are its gradients; no part holds more cells at once than it should."""
    random = torch.Generator().manual_seed(0)
    owner, weight = torch.randint(B, (50,), generator=random), torch.rand(50, generator=random)
    found = []
    for most in (1 << 24, 3 * C):
        monkeypatch.setattr("trainers.losses.CELLS", most)
        score, own = (torch.randn(shape, generator=random.manual_seed(1)).requires_grad_() for shape in ((B, C), (50,)))
        loss = bpr(score, own, owner, weight, pairs({(0, 1), (2, 3)}))
        loss.backward()
        found.append((loss.detach(), score.grad, own.grad))
    torch.testing.assert_close(found[0], found[1])


@given(score=SCORE, own=OWN, owner=OWNER, weight=WEIGHT, cells=CELLS)
def test_bce_weighs_a_target_as_much_as_all_its_candidates(
    score: Tensor, own: Tensor, owner: Tensor, weight: Tensor, cells: set[tuple[int, int]]
) -> None:
    each = []
    for mine, row in zip(own.tolist(), owner.tolist(), strict=True):
        others = free(score, row, cells)
        each.append(math.log1p(math.exp(-mine)) + sum(math.log1p(math.exp(s)) for s in others) / max(len(others), 1))
    assert float(bce(score, own, owner, weight, pairs(cells))) == pytest.approx(total(each, weight), rel=1e-4, abs=1e-6)


@given(score=SCORE, own=OWN, owner=OWNER, weight=WEIGHT, cells=CELLS)
def test_sampled_softmax_tells_a_target_from_itself_and_free_candidates(
    score: Tensor, own: Tensor, owner: Tensor, weight: Tensor, cells: set[tuple[int, int]]
) -> None:
    each = []
    for mine, row in zip(own.tolist(), owner.tolist(), strict=True):
        each.append(math.log(math.exp(mine) + sum(math.exp(s) for s in free(score, row, cells))) - mine)
    got = float(sampled_softmax(score, own, owner, weight, pairs(cells)))
    assert got == pytest.approx(total(each, weight), rel=1e-4, abs=1e-5)


@given(score=SCORE, owner=OWNER, weight=WEIGHT)
def test_full_softmax_over_free_items_is_cross_entropy(score: Tensor, owner: Tensor, weight: Tensor) -> None:
    target = torch.arange(T) % C
    got = full_softmax(score, Pairs(owner, target), weight, none_of(Pairs(owner, target)))
    each = torch.nn.functional.cross_entropy(score[owner], target, reduction="none")
    torch.testing.assert_close(got, (each * weight).sum())
