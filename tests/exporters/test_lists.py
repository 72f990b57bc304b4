"""Lists from two matrices of scores are the same, but for items that are as good as equal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exporters.lists import Comparison, best, compared

EPS = np.full((1, 1), 0.1)


def row(*scores: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """One user's scores, float32 [1, N]."""
    return np.array([scores], dtype=np.float32)


@given(score=arrays(np.float32, (3, 8), elements=st.floats(-4, 4, width=32)), k=st.integers(1, 8))
def test_equal_scores_give_identical_lists(score: np.ndarray[tuple[int, int], np.dtype[np.float32]], k: int) -> None:
    assert compared(score, score.copy(), np.zeros((3, 1)), k) == Comparison(k, 1.0, 1.0, 0, 0)


@given(
    score=arrays(np.float32, (3, 8), elements=st.floats(-4, 4, width=32)),
    noise=arrays(np.float32, (3, 8), elements=st.floats(-0.0625, 0.0625, width=32)),
    k=st.integers(1, 8),
)
def test_noise_of_half_the_tolerance_never_makes_a_list_wrong(
    score: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    noise: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    k: int,
) -> None:
    found = compared(score, score + noise, np.full((3, 1), 0.126), k)
    assert (found.wrong, found.inversions) == (0, 0)


@pytest.mark.parametrize(
    ("reference", "candidate", "k", "expected"),
    [
        (row(3, 2, 1), row(3, 2, 1), 2, Comparison(2, 1.0, 1.0, 0, 0)),
        (row(3, 2.95, 1), row(2.95, 3, 1), 2, Comparison(2, 0.0, 1.0, 0, 0)),  # a tie changed places
        (row(3, 2.95, 1), row(2.95, 3, 1), 1, Comparison(1, 0.0, 0.0, 0, 0)),  # a tie at the end of the list
        (row(3, 2, 1), row(2, 3, 1), 2, Comparison(2, 0.0, 1.0, 0, 1)),  # the right items out of order
        (row(3, 2, 1), row(3, 1, 2), 2, Comparison(2, 0.0, 0.5, 1, 0)),  # one that is too bad
        (row(3, 2, 1), row(1, 2, 3), 2, Comparison(2, 0.0, 0.5, 2, 1)),  # and one that is too good to be missing
    ],
)
def test_only_what_is_beyond_the_tolerance_counts(
    reference: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    candidate: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    k: int,
    expected: Comparison,
) -> None:
    assert compared(reference, candidate, EPS, k) == expected


def test_ties_go_to_the_lower_column() -> None:
    tied = np.tile(np.array([1, 2], dtype=np.float32), (1, 200))
    assert best(tied, 300)[0].tolist() == [*range(1, 400, 2), *range(0, 200, 2)]
