"""The metrics are their definitions, and those of the judge outside this project."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.metrics import (
    MANY,
    NAMES,
    Estimate,
    Targets,
    auc,
    coverage,
    estimates,
    estimates_over_trainings,
    hits,
    per_user,
)

JUDGE = Path(__file__).parents[3] / "shared" / "tools" / "holdout.py"
ITEMS = 12
LISTS = st.lists(
    st.tuples(
        st.lists(st.integers(0, ITEMS - 1), unique=True, max_size=8),  # a user's list
        st.sets(st.integers(0, ITEMS - 1), min_size=1),  # and what the user liked
    ),
    min_size=1,
    max_size=6,
)
Case = list[tuple[list[int], set[int]]]


def by_definition(got: list[int], liked: set[int], k: int) -> dict[str, float]:
    """The formulas of the papers, one user, one rank at a time."""
    gain = [1 if item in liked else 0 for item in got[:k]]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(liked), k) + 1))
    return {
        "hr": float(sum(gain) > 0),
        "recall": sum(gain) / len(liked),
        "ndcg": sum(g / math.log2(rank + 1) for rank, g in enumerate(gain, 1)) / ideal,
        "mrr": next((1 / rank for rank, g in enumerate(gain, 1) if g), 0.0),
    }


def measured(case: Case, k: int) -> dict[str, list[float]]:
    """The same by the project."""
    lists = np.array([got + [-1] * (8 - len(got)) for got, _ in case])
    pairs = [(user, item) for user, (_, liked) in enumerate(case) for item in sorted(liked)]
    targets = Targets(*(np.array(column) for column in zip(*pairs, strict=True)))
    hit = hits(lists, targets, ITEMS)
    return {name: value.tolist() for name, value in per_user(hit, targets.counts(len(case)), k).items()}


@given(case=LISTS, k=st.integers(1, 10))
def test_the_metrics_are_their_definitions(case: Case, k: int) -> None:
    expected = [by_definition(got, liked, k) for got, liked in case]
    got = measured(case, k)
    assert set(got) == set(NAMES)
    for name in NAMES:
        assert got[name] == pytest.approx([user[name] for user in expected])


@given(case=LISTS, k=st.integers(1, 10))
def test_the_area_is_that_of_the_list_with_all_other_items_in_a_random_order_behind_it(case: Case, k: int) -> None:
    lists = np.array([got + [-1] * (10 - len(got)) for got, _ in case])
    pairs = [(user, item) for user, (_, liked) in enumerate(case) for item in sorted(liked)]
    targets = Targets(*(np.array(column) for column in zip(*pairs, strict=True)))
    found = auc(hits(lists, targets, ITEMS), lists >= 0, targets.counts(len(case)), k, ITEMS)
    for (got, liked), area in zip(case, found, strict=True):
        if len(liked) < ITEMS:
            listed = got[:k]
            left = len(liked - {*listed})
            before = [
                sum(one in liked for one in listed[:place]) for place, one in enumerate(listed) if one not in liked
            ]
            behind = (
                ITEMS - len(liked) - len(before)
            )  # each of which has what is listed before it, and half of the rest
            pairs_won = sum(before) + behind * (len(liked) - left + left / 2)
            assert area == pytest.approx(pairs_won / (len(liked) * (ITEMS - len(liked))))


@given(case=LISTS, k=st.integers(1, 8))
def test_the_metrics_are_those_of_the_judge(case: Case, k: int) -> None:
    if not JUDGE.exists():
        pytest.skip(f"{JUDGE}, the outside judge, is not on this machine")
    spec = importlib.util.spec_from_file_location("holdout", JUDGE)
    assert spec
    assert spec.loader
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    rows = [(user, item, rank) for user, (got, _) in enumerate(case) for rank, item in enumerate(got, 1)]
    recs = pd.DataFrame(rows, columns=["user_id", "item_id", "rank"]).astype(int)
    test = pd.DataFrame([(u, i) for u, (_, liked) in enumerate(case) for i in liked], columns=["user_id", "item_id"])
    theirs = judge.per_user(recs, pd.MultiIndex.from_frame(recs[["user_id", "item_id"]]), test, k, 50)
    mine = measured(case, k)
    assert {name: mine[name] for name in NAMES} == {
        name: pytest.approx(theirs[f"{name}@{k}"].tolist()) for name in NAMES
    }


def test_an_interval_holds_its_mean_and_the_same_seed_gives_the_same() -> None:
    values = {"hr": np.random.default_rng(0).random(200)}
    one, again = estimates(values, 200)["hr"], estimates(values, 200)["hr"]
    assert one == again
    assert one.low < one.mean < one.high
    error = values["hr"].std() / 200**0.5
    assert (one.high - one.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("trainings", [2, 3, 5])
def test_the_seeds_of_trainings_that_are_the_same_are_seldom_taken_for_a_difference(trainings: int) -> None:
    """An interval over users alone does so nearly always, however many users there are."""
    rng = np.random.default_rng(5)
    wrong = {"both": 0, "users": 0}
    for _ in range(200):  # trainings beside others like them
        gap = rng.normal(0, 0.05, (trainings, 1)) + rng.normal(0, 0.2, 500) + rng.normal(0, 0.2, (trainings, 500))
        both = estimates_over_trainings({"ndcg@10": gap}, 200)["ndcg@10"]
        users = estimates({"ndcg@10": gap.mean(0)}, 200)["ndcg@10"]
        assert both.low <= users.mean == both.mean <= both.high
        wrong["both"] += not both.low <= 0 <= both.high
        wrong["users"] += not users.low <= 0 <= users.high
    assert wrong["both"] <= 18  # 10 of 200 are to be expected
    assert wrong["users"] > 80


def test_where_trainings_bring_nothing_an_interval_is_not_twice_as_wide_as_that_over_users() -> None:
    rng = np.random.default_rng(7)
    wider = []
    for _ in range(50):
        gap = rng.normal(0, 0.2, 500) + rng.normal(0, 0.2, (3, 500))
        both = estimates_over_trainings({"x": gap}, 200)["x"]
        users = estimates({"x": gap.mean(0)}, 200)["x"]
        wider.append((both.high - both.low) / (users.high - users.low))
    assert 1 < np.median(wider) < 2


def test_an_interval_over_trainings_is_not_of_the_luck_of_draws_and_holds_no_mean_that_cannot_be() -> None:
    values = np.array([[0.0, 0.2, 0.4, 1.0] * 50, [0.0, 0.0, 1.0, 0.2] * 50])
    ends = [estimates_over_trainings({"x": values}, 200, seed)["x"] for seed in range(20)]
    assert max(one.high for one in ends) - min(one.high for one in ends) < 0.1
    assert all(0 <= one.low < one.mean < one.high <= 1 for one in ends)


def test_where_users_are_alike_the_interval_is_students_of_the_trainings() -> None:
    values = np.linspace(0, 1, 10)[:, None] + np.zeros(40)  # no draw of users differs from another
    found = estimates_over_trainings({"x": values}, 4000)["x"]
    half = 2.262 * np.linspace(0, 1, 10).std(ddof=1) / 10**0.5  # t of 9 degrees of freedom, Student's own table
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-3)


def test_the_interval_of_many_users_is_that_of_draws_of_users() -> None:
    rng = np.random.default_rng(9)
    values = {"hr": (rng.random(MANY + 1) < 0.2).astype(float), "none": np.zeros(MANY + 1)}
    many = estimates(values, 1000)
    few = estimates({name: value[:MANY] for name, value in values.items()}, 1000)
    assert many["none"] == few["none"] == Estimate(mean=0.0, low=0.0, high=0.0)
    assert (many["hr"].low, many["hr"].high) == pytest.approx((few["hr"].low, few["hr"].high), abs=2e-4)
    rare = np.zeros(MANY + 1)
    rare[:2] = 1
    edges = estimates({"low": rare, "high": 1 - rare}, 1000)
    assert edges["low"].low == 0.0
    assert edges["high"].high == 1.0
    half = 1.96 * (0.2 * 0.8 / MANY) ** 0.5
    assert many["hr"].high - many["hr"].mean == pytest.approx(half, rel=0.02)


def test_without_draws_there_is_no_interval_over_trainings_either() -> None:
    found = estimates_over_trainings({"x": np.random.default_rng(8).random((4, 9))}, 0)["x"]
    assert found.low == found.mean == found.high


def test_of_one_training_an_interval_is_over_users() -> None:
    values = np.random.default_rng(6).random(50)
    assert estimates_over_trainings({"x": values[None]}, 100) == estimates({"x": values}, 100)


def test_without_draws_the_interval_is_the_mean() -> None:
    value = estimates({"hr": np.array([0.0, 1.0])}, 0)["hr"]
    assert (value.low, value.mean, value.high) == (0.5, 0.5, 0.5)


def test_nobody_has_no_estimate() -> None:
    assert estimates({"hr": np.zeros(0)}, 10) == {}


def test_coverage_counts_each_item_in_the_first_k_once() -> None:
    assert coverage(np.array([[0, 1, 2], [1, 3, -1]]), 2, 10) == 0.3
