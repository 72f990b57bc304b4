"""A model that is no better than what it must beat is remarked on, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.metrics import Estimate
from rec_export.remark import remark

share = st.floats(0, 1)


LISTS = {"model": 0.0123, "popular": 0.01, "recent": 0.0308, "random": 0.9}
BASELINE = "try `rec-export tune` or another model.name, or train that baseline, `model.name: popular`"


def test_the_line_has_both_figures_the_interval_and_what_to_do() -> None:
    gaps = {"recent": Estimate(mean=-0.0185, low=-0.021, high=-0.016)}
    assert remark("hybrid", "ndcg@10", LISTS, "test", gaps) == (
        "hybrid does worse than recent popularity on the test rows: ndcg@10 0.0123 against 0.0308 (the difference lies"
        f" in [-0.0210, -0.0160]); {BASELINE}"
    )


@pytest.mark.parametrize("gaps", [None, {"recent": Estimate(mean=-0.0185, low=-0.0185, high=-0.0185)}])
def test_without_draws_the_line_says_that_there_is_no_interval(gaps: dict[str, Estimate] | None) -> None:
    assert remark("hybrid", "ndcg@10", LISTS, "validation", gaps) == (
        "hybrid does no better than recent popularity on the validation rows: ndcg@10 0.0123 against 0.0308"
        f" (no interval is computed); {BASELINE}"
    )


def test_more_epochs_are_advised_where_the_last_one_allowed_was_the_best() -> None:
    said = str(remark("hybrid", "ndcg@10", LISTS, "validation", cut_short=True)).partition("; ")[2]
    assert said == f"raise training.epochs, as the best epoch was the last one allowed; or {BASELINE}"


@given(mine=share, popular=share, recent=share)
def test_lists_are_remarked_on_where_the_better_baseline_is_as_good(mine: float, popular: float, recent: float) -> None:
    figures = {"model": mine, "popular": popular, "recent": recent}
    assert (remark("hybrid", "ndcg@10", figures, "test") is None) == (mine > max(popular, recent))


@given(mine=share, biases=share)
def test_of_errors_less_is_better(mine: float, biases: float) -> None:
    figures = {"model": mine, "constant": 1.0, "biases": biases}
    assert (remark("pmf", "rmse", figures, "test") is None) == (mine < biases)


@pytest.mark.parametrize(
    ("metric", "low", "high", "said"),
    [
        ("ndcg@10", -0.3, 0.1, "may be chance"),
        ("ndcg@10", -0.3, -0.1, "does worse"),
        ("rmse", -0.1, 0.3, "may be chance"),
        ("rmse", 0.1, 0.3, "does worse"),
    ],
)
def test_an_interval_that_holds_zero_may_be_chance(metric: str, low: float, high: float, said: str) -> None:
    name = "biases" if metric == "rmse" else "popular"
    gaps = {name: Estimate(mean=(low + high) / 2, low=low, high=high)}
    assert said in str(remark("pmf", metric, {"model": 0.5, name: 0.5}, "test", gaps))


def test_the_baseline_itself_is_not_remarked_on() -> None:
    assert remark("popular", "ndcg@10", {"model": 0.1, "popular": 0.1, "recent": 0.2}, "test") is None
