"""The shape of lists and the errors of predictions, by known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rec_export.analysis import HEADS, SHARES, ListShape, Predictions, group_shares, less_popular


def test_lists_of_one_item_reach_nothing_else() -> None:
    lists = np.zeros((4, 2), np.int64)
    lists[:, 1] = -1
    shape = ListShape.measured(lists, 1, np.arange(100, 0, -1).astype(float))
    assert (shape.coverage, shape.heads) == (0.01, (1.0, 0.0, 0.0, 0.0))
    assert shape.reach == (1.0,) * len(SHARES)
    assert shape.rank_popularity == (0.99,)


def test_places_fall_on_groups_of_items_by_popularity() -> None:
    popularity = np.arange(100.0)
    lists = np.array([[99, 97, 90, 0]])
    assert ListShape.measured(lists, 4, popularity).heads == (0.25, 0.25, 0.25, 0.25)
    assert ListShape.measured(lists, 4, popularity).rank_popularity == (0.99, 0.97, 0.9, 0.0)


@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1e6)))
def test_shares_of_groups_add_up(popularity: np.ndarray) -> None:
    weight = np.ones(len(popularity))
    assert sum(group_shares(weight, popularity)) == pytest.approx(1, abs=1e-4)
    assert len(group_shares(weight, popularity)) == len(HEADS)
    assert ((less_popular(popularity) >= 0) & (less_popular(popularity) < 1)).all()


def test_normal_errors_lie_on_the_line_and_every_row_is_counted() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(3, 1, 50_000)
    found = Predictions.measured(true, true + rng.normal(0.5, 2, 50_000), (), ())
    assert found.mean_error == pytest.approx(0.5, abs=0.05)
    assert found.std_error == pytest.approx(2, abs=0.05)
    assert np.allclose(found.normal, found.quantiles, atol=0.1)
    assert sum(found.errors.counts) == found.rows == sum(map(sum, found.density.counts))


def test_a_prediction_that_is_always_the_same_can_be_drawn() -> None:
    found = Predictions.measured(np.array([1.0, 2.0]), np.array([3.0, 3.0]), (), ())
    assert found.density.y == (2.5, 3.5)
    assert [one[1] for one in found.residuals] == [2.0, 1.0]


def test_the_most_popular_of_few_items_is_one() -> None:
    assert group_shares(np.array([3.0, 1.0]), np.array([1.0, 9.0]))[0] == 0.25
