"""Ranks among drawn items are the definition, and what is drawn is free."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.sampled import ranks_among

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
