"""Candidates are items, each once, and stand for the whole catalogue."""

import math

import pytest
import torch
from torch import Tensor

from trainers.negatives import Popularity, Rule, candidates

ITEMS, DRAWN, ROUNDS = 60, 20, 3000
RULES: list[Rule] = ["mixed", "uniform", "popular"]


@pytest.fixture
def popular() -> Popularity:
    """A few popular items and a long tail."""
    share = 1 / torch.arange(1.0, ITEMS + 1)[torch.randperm(ITEMS, generator=torch.Generator().manual_seed(0))]
    return Popularity(share.log(), torch.argsort(share, descending=True).int())


def drawn(rule: Rule, popular: Popularity, count: int | None = DRAWN, logq: bool = True) -> tuple[Tensor, Tensor]:
    """Items and corrections."""
    return candidates(rule, popular, torch.tensor([3, 3, 5]), count, logq, torch.default_generator)


@pytest.mark.parametrize("rule", RULES)
def test_each_candidate_stands_once(rule: Rule, popular: Popularity) -> None:
    item, correction = drawn(rule, popular)
    assert len(item) == len(correction) == DRAWN == len(item.unique())
    assert int(item.min()) >= 0
    assert int(item.max()) < ITEMS


@pytest.mark.parametrize(("rule", "within"), [("mixed", 0.01), ("uniform", 0.02), ("popular", 0.01)])
def test_the_corrected_sum_is_that_of_the_whole_catalogue(rule: Rule, within: float, popular: Popularity) -> None:
    torch.manual_seed(1)
    score = torch.randn(ITEMS)
    sums = []
    for _ in range(ROUNDS):
        item, correction = drawn(rule, popular)
        sums.append(float(torch.exp(score[item] + correction).sum()))
    assert sum(sums) / ROUNDS == pytest.approx(float(torch.exp(score).sum()), rel=within)


def test_mixed_holds_the_most_popular_half_for_certain(popular: Popularity) -> None:
    item, correction = drawn("mixed", popular)
    assert set(popular.order[: DRAWN // 2].tolist()) <= set(item.tolist())
    assert correction.tolist() == pytest.approx([0.0] * 10 + [math.log((ITEMS - 10) / 10)] * 10)


def test_uniform_candidates_are_drawn_from_all_kinds_of_popularity(popular: Popularity) -> None:
    rank = torch.empty(ITEMS, dtype=torch.int64)
    rank[popular.order.long()] = torch.arange(ITEMS)
    item, correction = drawn("uniform", popular)
    assert (rank[item] // (ITEMS // DRAWN)).tolist() == list(range(DRAWN))
    assert correction.tolist() == pytest.approx([math.log(ITEMS / DRAWN)] * DRAWN)


def test_popular_items_are_drawn_more_often(popular: Popularity) -> None:
    torch.manual_seed(2)
    counts = sum(torch.bincount(drawn("popular", popular)[0], minlength=ITEMS) for _ in range(200))
    assert isinstance(counts, Tensor)
    assert counts[popular.order[:10].long()].sum() > 2 * counts[popular.order[-10:].long()].sum()


def test_in_batch_candidates_are_the_targets_of_the_batch(popular: Popularity) -> None:
    item, correction = drawn("batch", popular)
    assert item.tolist() == [3, 5]
    share = popular.log.exp()
    torch.testing.assert_close(correction, -torch.log(3 * share[[3, 5]] / share.sum()))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", [None, ITEMS, ITEMS + 1])
def test_all_items_need_no_correction(rule: Rule, count: int | None, popular: Popularity) -> None:
    item, correction = drawn(rule, popular, count)
    assert item.tolist() == list(range(ITEMS))
    assert not correction.any()


@pytest.mark.parametrize("rule", [*RULES, "batch"])
def test_without_logq_there_is_no_correction(rule: Rule, popular: Popularity) -> None:
    assert not drawn(rule, popular, logq=False)[1].any()
