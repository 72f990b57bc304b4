"""The stability index has known answers, and its counts add up over parts."""

from math import log

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_jobs.drift import score_counts, stability

SCORES = st.lists(st.floats(width=32, allow_nan=False), min_size=1)


def counted(*scores: float) -> pd.Series:
    """The bins of some scores."""
    return score_counts(np.array(scores, np.float32))


@settings(max_examples=30)
@given(scores=SCORES)
def test_bins_are_in_the_order_of_scores(scores: list[float]) -> None:
    numbers = [int(counted(score).index[0]) for score in sorted(scores)]
    assert numbers == sorted(numbers)


@settings(max_examples=30)
@given(one=SCORES, other=SCORES)
def test_counts_of_parts_add_up_to_those_of_the_whole(one: list[float], other: list[float]) -> None:
    parts = pd.concat([counted(*one), counted(*other)]).groupby(level=0).sum()
    assert parts.to_dict() == counted(*one, *other).to_dict()


@settings(max_examples=30)
@given(scores=SCORES)
def test_the_same_scores_have_not_moved(scores: list[float]) -> None:
    assert stability(counted(*scores), counted(*scores)) == 0


def test_shares_of_a_half_that_become_nine_and_one_tenth_have_a_known_index() -> None:
    before, now = counted(*[1.0] * 50, *[2.0] * 50), counted(*[1.0] * 90, *[2.0] * 10)
    assert stability(before, now) == pytest.approx(0.4 * log(9))


def test_scores_where_there_were_none_have_a_finite_index_and_those_of_nobody_none() -> None:
    ten = np.arange(1, 11, dtype=np.float32)
    assert stability(counted(*ten), counted(*(ten * 100))) == pytest.approx(
        9 * (0.1 - 1e-4) * log(0.1 / 1e-4) + 0.9 * log(10)
    )
    assert stability(counted(*ten), counted()) is None
