"""Rating metrics are the textbook's, and their intervals hold them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from rec_export.metrics import LOWER_IS_BETTER, MANY, NAMES, RATING_NAMES, gain
from rec_export.rating_metrics import rating_estimates, rating_metrics, sums

NUMBERS = st.floats(-1e4, 1e4, allow_nan=False)


@given(rows=st.lists(st.tuples(st.integers(0, 4), NUMBERS, NUMBERS), min_size=2, max_size=30))
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[int, float, float]]) -> None:
    user, value, predicted = (np.array(column) for column in zip(*rows, strict=True))
    got = rating_metrics(sums(user, value, predicted).sum(0))
    assert float(got["rmse"]) == pytest.approx(root_mean_squared_error(value, predicted), rel=1e-6, abs=1e-9)
    assert float(got["mae"]) == pytest.approx(mean_absolute_error(value, predicted), rel=1e-6, abs=1e-9)
    if value.std() > 1e-3:
        assert float(got["r2"]) == pytest.approx(r2_score(value, predicted), rel=1e-5, abs=1e-5)


def test_a_perfect_prediction_has_r2_1_and_no_error() -> None:
    user, value = np.array([0, 0, 1]), np.array([1.0, 3.0, 5.0])
    got = rating_estimates(sums(user, value, value), 50)
    assert {name: (e.mean, e.low, e.high) for name, e in got.items()}["rmse"] == (0.0, 0.0, 0.0)
    assert got["r2"].mean == 1.0


def test_a_prediction_is_no_better_than_itself() -> None:
    rng = np.random.default_rng(0)
    total = sums(rng.integers(0, 20, 200), rng.normal(size=200), rng.normal(size=200))
    assert {(e.mean, e.low, e.high) for e in rating_estimates(total, 30, total).values()} == {(0.0, 0.0, 0.0)}


def test_of_errors_less_is_better_and_of_all_else_more() -> None:
    better = {name: gain(name, 2.0) > gain(name, 1.0) for name in (*NAMES, *RATING_NAMES)}
    assert {name for name, more in better.items() if not more} == set(LOWER_IS_BETTER) == {"rmse", "mae"}


def test_the_intervals_of_many_users_are_those_of_draws_of_users() -> None:
    rng = np.random.default_rng(4)
    users = np.repeat(np.arange(MANY + 1), 2)
    value = rng.normal(3, 1, len(users))
    mine, theirs = (sums(users, value, value + rng.normal(0, spread, len(users))) for spread in (0.5, 0.6))
    many = rating_estimates(mine, 1000, theirs)
    few = rating_estimates(mine[:MANY], 1000, theirs[:MANY])
    for name in many:
        width = few[name].high - few[name].low
        assert (many[name].low, many[name].high) == pytest.approx((few[name].low, few[name].high), abs=width / 8)
