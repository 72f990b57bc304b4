"""What the page says of a search for settings."""

import json

import pytest

from rec_export.report.sections.search import headline, table
from rec_export.report.views import Search
from tests.rec_export.report.conftest import search


@pytest.mark.parametrize(
    ("metric", "values", "said"),
    [
        ("ndcg@10", [0.1, 0.3, 0.2], "rose from 0.1000 to 0.3000, by model.dim=1; the best of many"),
        ("rmse", [0.9, 0.8, 0.7], "fell from 0.9000 to 0.7000, by model.dim=2; the best of many"),
        ("rmse", [0.7, 0.8], "was best with the configuration as it is: 0.7000."),
    ],
)
def test_the_headline_of_a_search_is_its_best_trial(metric: str, values: list[float], said: str) -> None:
    one = Search.model_validate(json.loads(search(metric, values).as_json()))
    assert headline(one).startswith(f"Over {len(values) + 1} trials {metric} on the validation rows {said}")
    assert table("x", one).rows[-1][0].text == str(len(values))  # which was stopped


def test_a_trial_that_was_cut_off_is_not_counted() -> None:
    told = json.loads(search("ndcg@10", [0.1, 0.3]).as_json())
    before = headline(Search.model_validate(told))
    told["trials"][-1]["state"] = "cut off"
    assert (before[:13], headline(Search.model_validate(told))[:13]) == ("Over 3 trials", "Over 2 trials")


def test_a_search_of_which_no_trial_ended_says_so() -> None:
    told = json.loads(search("ndcg@10", []).as_json())
    one = Search.model_validate(told)
    assert headline(one) == "No trial has ended as it should, of 1 trial."
    assert len(table("x", one).rows) == 1


def test_the_best_trial_is_told_where_the_configuration_as_it_was_did_not_end() -> None:
    told = json.loads(search("ndcg@10", [0.1, 0.3]).as_json())
    told["trials"][0] |= {"state": "cut off", "value": None}
    said = headline(Search.model_validate(told))
    assert said.startswith("Over 2 trials ndcg@10 on the validation rows came to 0.3000, by model.dim=1; ")
