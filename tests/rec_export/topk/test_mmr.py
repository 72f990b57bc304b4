"""Maximal marginal relevance, held to a slow reading of the paper."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_export.topk import Ranker, Seen, TopK
from rec_export.topk.caps import Caps
from rec_export.topk.mmr import Diversity, Reranker
from rec_export.topk.ruled import RuledRanker
from rec_export.towers import DotHead

Vector = list[float]


def cosine(p: Vector, q: Vector) -> float:
    """0 where one of the two is all zeros."""
    size = math.sqrt(sum(a * a for a in p)) * math.sqrt(sum(a * a for a in q))
    return sum(a * b for a, b in zip(p, q, strict=True)) / size if size else 0.0


def by_paper(vec: list[Vector], score: Vector, relevance: float, k: int) -> tuple[list[int], Vector]:
    """Places in a list with these scores, best first, and their values."""
    chosen: list[int] = []
    values: Vector = []
    spread = score[0] - score[-1] if score else 0.0
    while len(chosen) < min(k, len(score)):
        value = {}
        for place in set(range(len(score))) - set(chosen):
            rel = (score[place] - score[-1]) / spread if spread else 1.0
            near = max([0.0, *(cosine(vec[other], vec[place]) for other in chosen)])
            value[place] = relevance * rel - (1 - relevance) * near
        best = max(value, key=lambda place: (value[place], -place))
        chosen.append(best)
        values.append(value[best])
    return chosen, values


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    n=st.integers(0, 12),
    k=st.integers(1, 14),
    relevance=st.sampled_from((0.0, 0.3, 0.5, 0.9, 1.0)),
    level=st.sampled_from((1, 3, 1000)),
    width=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_what_the_paper_says(n: int, k: int, relevance: float, level: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    vec = random.integers(-2, 3, (20, width)).astype(np.float32)
    row, score = random.permutation(20)[:n], np.sort(random.integers(0, level, n))[::-1].astype(np.float64)
    places, values = by_paper(vec[row].tolist(), score.tolist(), relevance, k)
    got, left_out = Reranker(vec, relevance).choose(TopK(row[None], score[None], np.array([n])), k)
    held = got.count[0]
    assert got.item_row[0, :held].tolist() == row[places].tolist()
    assert got.score[0, :held].tolist() == values
    assert left_out.tolist() == [sum(place >= k for place in places)]
    assert (np.diff(got.score[0, :held]) <= 0).all()  # as every published list promises


def test_whole_relevance_is_the_order_of_the_scores() -> None:
    random = torch.Generator().manual_seed(0)
    user_vec, item_vec = torch.randn(9, 6, generator=random), torch.randn(300, 6, generator=random)
    ruled = RuledRanker(DotHead(), item_vec, diversity=Diversity(1.0, 4))
    got = ruled.top_k(user_vec, 10, Seen.none(9))
    assert np.array_equal(got.top.item_row, Ranker(DotHead(), item_vec).top_k(user_vec, 10, Seen.none(9)).item_row)
    assert got.varied.tolist() == [0] * 9


def test_lists_do_not_depend_on_threads(threads: Callable[[int], None]) -> None:
    random = torch.Generator().manual_seed(0)
    user_vec, item_vec = torch.randn(9, 6, generator=random), torch.randn(300, 6, generator=random)
    ruled = RuledRanker(DotHead(), item_vec, diversity=Diversity(0.5, 4))
    one = ruled.top_k(user_vec, 10, Seen.none(9))
    threads(3)
    other = ruled.top_k(user_vec, 10, Seen.none(9))
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one.top, other.top, strict=True))
    assert one.varied.sum() == other.varied.sum() > 0


@pytest.mark.parametrize("k", [1, 5, 12, 40])
def test_caps_hold_in_lists_that_are_chosen_for_diversity(k: int) -> None:
    random = torch.Generator().manual_seed(1)
    user_vec, item_vec = torch.randn(9, 6, generator=random), torch.randn(30, 6, generator=random)
    caps = Caps(np.arange(30)[:, None] % 6, np.full(6, 2))
    plain = RuledRanker(DotHead(), item_vec, caps=caps).top_k(user_vec, k, Seen.none(9)).top
    got = RuledRanker(DotHead(), item_vec, caps=caps, diversity=Diversity(0.4, 3)).top_k(user_vec, k, Seen.none(9)).top
    for row, held in zip(got.item_row, got.count, strict=True):
        assert np.bincount(row[:held] % 6).max() <= 2
    assert got.count.tolist() == plain.count.tolist() == [min(k, 12)] * 9
