"""Ranks among drawn items are the definition, and what is drawn is free."""

from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.columns import Int64
from rec_export.data.vocab import UNKNOWN
from rec_export.held_out import HeldOut
from rec_export.scorer import Scorer
from rec_export.topk import Seen
from rec_export.world import Timeline
from trainers.listers import at_random
from trainers.sampled import drawn_items, ranks_among

SCORES = st.lists(st.integers(0, 3), min_size=4, max_size=9)


@given(scores=SCORES, data=st.data())
def test_a_rank_counts_what_is_better_and_by_luck_what_is_as_good(scores: list[int], data: st.DataObject) -> None:
    n = len(scores)
    target = data.draw(st.integers(0, n))  # n: an item that is not in the catalogue
    drawn = data.draw(st.lists(st.integers(0, n - 1).filter(lambda item: item != target), min_size=1))
    table = torch.tensor([scores], dtype=torch.float32)
    luck = data.draw(st.floats(0, 1, exclude_max=True))
    got = ranks_among(table, np.array([0]), np.array([target]), np.array([drawn]), np.array([luck]))
    if target == n:
        assert got.tolist() == [1 + len(drawn)]
        return
    better = sum(scores[item] > scores[target] for item in drawn)
    alike = sum(scores[item] == scores[target] for item in drawn)
    assert got.tolist() == [1 + better + int(luck * (alike + 1))]


def test_where_all_scores_are_the_same_the_ranks_are_those_of_chance() -> None:
    pairs, drawn = 20_000, 99
    luck = np.random.default_rng(1).random(pairs)
    owner, target = np.zeros(pairs, np.int64), np.zeros(pairs, np.int64)
    got = ranks_among(torch.zeros(1, 200), owner, target, np.ones((pairs, drawn), np.int64), luck)
    assert (got.min(), got.max()) == (1, drawn + 1)
    assert (got <= 10).mean() == pytest.approx(0.1, abs=0.01)


def met_by(user: Int64, keep_seen: bool) -> Seen:
    """User 0 has met nothing, user 1 the items 0, 2 and 3, user 2 all five."""
    return Seen.of(np.array([1, 1, 1, 2, 2, 2, 2, 2]), np.array([0, 2, 3, 4, 3, 2, 1, 0]), 3).take(user)


def test_what_is_drawn_is_neither_met_nor_liked_and_nothing_where_nothing_is_left() -> None:
    held_out = create_autospec(HeldOut, instance=True)
    held_out.timeline, held_out.user = create_autospec(Timeline, instance=True), np.array([0, 1, 2])
    held_out.timeline.items, held_out.again = 5, False
    scorer = create_autospec(Scorer, instance=True)
    scorer.seen = met_by
    owner, target = np.array([0, 1, 2]), np.array([4, 1, 5])
    drawn = drawn_items(scorer, held_out, np.arange(3), owner, target, 400, np.random.default_rng(0))
    assert [set(row.tolist()) for row in drawn] == [{0, 1, 2, 3}, {4}, {UNKNOWN}]
    assert np.allclose(np.bincount(drawn[0]) / 400, 0.25, atol=0.08)


def test_chance_lists_what_was_not_met_each_item_once() -> None:
    scorer = create_autospec(Scorer, instance=True)
    scorer.seen, scorer.items = met_by, np.arange(5)
    lister = at_random(scorer, keep_seen=False)
    first = set()
    for _ in range(50):
        lists = lister.lists(np.array([0, 1, 2]), 4)
        assert [len(set(row[row != UNKNOWN].tolist())) for row in lists] == [4, 2, 0]
        assert set(lists[1].tolist()) == {1, 4, UNKNOWN}
        first.add(int(lists[0, 0]))
    assert first == set(range(5))
