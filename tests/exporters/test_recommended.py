"""The proof refuses a recommender.onnx whose lists are not those of the trained model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exporters import recommender
from exporters.fresh import outputs_of
from exporters.parity import labels, trials_of
from exporters.recommended import Truth, recommender_report
from exporters.recommender import write_recommender
from rec_export.checkpoint import read_trend
from rec_export.errors import ParityError
from tests.exporters.conftest import Make, whole


def changed(old: str, new: str) -> Callable[[str], str]:
    """The graph's text with one thing changed."""
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (changed("eligible = And(number, allowed)", "eligible = Identity(number)"), "lists are of another length"),
        (changed("place = Sub(met, first)", "place = Identity(met)"), "listed that are seen or not allowed"),
        (
            changed("offset = Sub(first, places)", "offset = Sub(at_0, places)"),
            "a list holds|listed that|scores are off",
        ),
        (changed("inside = And(after, before)", "inside = Identity(before)"), "in the case .* it fails"),
        (changed("score = Where(found, best, missing)", "score = Identity(best)"), "something stands after the end"),
        (changed("Where(found, best, missing)", "Where(found, missing, missing)"), "scores are not finite"),
        (changed("TopK(unseen, places)", "TopK<largest = 0>(unseen, places)"), "lists are of another length"),
        (changed("new = Add(from, offset)", "even = Add(from, offset) new = Sub(even, at_1)"), "scores are off|listed"),
    ],
)
def test_a_graph_that_ranks_otherwise_is_refused(
    fault: Callable[[str], str], said: str, bundle: Make, checkpoint: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fault(recommender.LISTS) != recommender.LISTS
    folder = bundle("pmf")  # before the fault is planted
    monkeypatch.setattr(recommender, "LISTS", fault(recommender.LISTS))
    monkeypatch.setattr(recommender, "LEAST_ITEMS", 8)  # many tiles
    monkeypatch.setattr(recommender, "NUMBERS", 8)
    check(folder, checkpoint("pmf"), said)


@pytest.mark.parametrize("shift", [0, 1])
def test_item_rows_that_are_shifted_by_one_are_refused(shift: int, bundle: Make, checkpoint: Make) -> None:
    check(bundle("pmf"), checkpoint("pmf"), "scores are off" if shift else None, shift)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (changed(', reduction = "add"', ""), "scores are off|lists are of another length"),
        (changed("own_place = Sub(own, first)", "own_place = Identity(own)"), "scores are off|items are wrong"),
        (changed("own_shifted = Add(own_place, places)", "own_shifted = Identity(own_place)"), "scores are off"),
        (changed("", ""), None),
    ],
)
def test_a_graph_that_adds_otherwise_is_refused(
    fault: Callable[[str], str], said: str | None, bundle: Make, checkpoint: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bundle("pmf")
    monkeypatch.setattr(recommender, "ADDED", fault(recommender.ADDED))
    monkeypatch.setattr(recommender, "LEAST_ITEMS", 8)
    monkeypatch.setattr(recommender, "NUMBERS", 8)
    check(folder, checkpoint("pmf"), said, habits=True)


def check(folder: Path, checkpoint: Path, said: str | None, shift: int = 0, habits: bool = False) -> None:
    """Write the recommender of a bundle anew, with its item vectors so many rows on, and compare its lists."""
    parts, blueprint, catalogue = whole(checkpoint)
    item_vec = recommender.item_vectors(parts[1], catalogue, read_trend(checkpoint))
    write_recommender(folder, np.roll(item_vec, shift, 0), labels(blueprint), habits)
    users, _, head = trials_of(parts, blueprint, catalogue, folder)
    truth = Truth.of(users.part, head.part, item_vec, users.cases, habits)
    cases = {"recommender": truth.cases}
    if said is None:
        assert recommender_report(truth, outputs_of(folder, "onnx", cases)).cases == len(truth.cases)
    else:
        with pytest.raises(ParityError, match=f"is not the trained model: .*({said})"):
            recommender_report(truth, outputs_of(folder, "onnx", cases))
