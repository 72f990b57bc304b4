"""Approximate lists are measured beside the exact ones in the same run, and refused where too much is missing."""

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from batch_jobs.report import Report
from rec_export.recs import Recs
from rec_export.run_manifest import Recall, RunManifest
from rec_export.topk import Ranker, Seen, TopK
from tests.batch_jobs.conftest import LAST, configured, night, report
from tests.conftest import LAST_DAY, command, done, read_lists


class Forgetful:
    """A ranker that misses the best item of everybody."""

    def __init__(self, *of: object) -> None:
        self.ranker = Ranker(*of[:2])  # type: ignore[arg-type]

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        top = self.ranker.top_k(user_vec, k + 1, seen)
        return TopK(top.item_row[:, 1:], top.score[:, 1:], top.count - 1)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the model, approximate lists are those of a Forgetful."""
    monkeypatch.setattr("rec_export.topk.ruled.pays", lambda *_: True)
    monkeypatch.setattr("batch_jobs.recall.pays", lambda *_: True)
    monkeypatch.setattr("rec_export.topk.ruled.ApproximateRanker", Forgetful)


def manifest(recs: Path) -> RunManifest:
    """Of the newest run."""
    path = next((Recs.at(recs).control / "manifests").rglob("*.json"))
    return RunManifest.read(path)


def test_where_an_approximate_search_would_not_be_faster_the_lists_are_exact_and_that_is_said(
    exported: Path, shop: Path, scored: Path, tmp_path: Path
) -> None:
    log, out = shop / "interactions.parquet", tmp_path / "recs"
    options = ["--interactions", log, "--out", out, "--k", 10, "--run-date", LAST_DAY]
    said = done("score", exported, *options, "--approximate")
    assert (
        "approximate: recall 1.0000 of the exact lists of 200 users, 1.0000 at least, 100.0% the same;"
        " this model is not ranked faster so, and all lists are exact\n" in said
    )
    assert read_lists(out).equals(read_lists(scored))
    run, exact = manifest(out), manifest(scored)
    assert run.approximate == Recall(users=200, recall=1.0, least=1.0, same=1.0, searched=False)
    assert exact.approximate is None
    assert run.run_id != exact.run_id


def test_a_night_says_that_its_approximate_search_was_none(place: Path) -> None:
    said = night(place, LAST, "--approximate").out
    assert "this model is not ranked faster so, and all lists are exact\n" in said


@pytest.mark.usefixtures("forgetful")
def test_a_night_whose_approximate_lists_miss_too_much_is_refused_and_the_report_says_how_much(place: Path) -> None:
    answer = night(place, LAST, "--approximate", code=80)
    told = report(place)
    assert "recall is 0.8, but should be at least 0.95" in answer.err
    assert told.approximate == Recall(users=200, recall=0.8, least=0.8, same=0.0, searched=True)
    assert "Approximate: recall 0.8000 of the exact lists of 200 users, 0.8000 at least, 0.0% the same.\n" in (
        place / "recs.control" / "report.md"
    ).read_text(encoding="utf-8")
    night(place, LAST)  # exact lists are another run, and as good as ever
    assert Report.read(place / "recs.control" / "report.json").approximate is None


class Silent(Forgetful):
    """A ranker that finds nothing for every second user."""

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        top = self.ranker.top_k(user_vec, k, seen)
        for rows in (top.item_row, top.score, top.count):
            rows[::2] = {2: {"i": -1, "f": np.nan}[rows.dtype.kind], 1: 0}[rows.ndim]
        return top


@pytest.mark.usefixtures("forgetful")
def test_lists_that_are_empty_hold_nothing_of_the_exact_ones(
    exported: Path, shop_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rec_export.topk.ruled.ApproximateRanker", Silent)
    place = configured(shop_copy, exported, {"covered": 0.0})
    answer = night(place, LAST, "--approximate", code=80)
    assert "recall is 0.5, but should be at least 0.95" in answer.err
    assert report(place).approximate == Recall(users=200, recall=0.5, least=0.0, same=0.5, searched=True)


@pytest.mark.usefixtures("forgetful")
def test_a_threshold_of_the_configuration_lets_them_pass(exported: Path, shop_copy: Path) -> None:
    place = configured(shop_copy, exported, {"recall": 0.8})
    night(place, LAST, "--approximate")
    assert [one.verdict for one in report(place).gates if one.gate == "recall"] == ["passed"]


def test_approximate_lists_are_not_carried_over(exported: Path, shop: Path, tmp_path: Path) -> None:
    options = ["--interactions", shop / "interactions.parquet", "--out", tmp_path / "recs", "--run-date", LAST]
    code, _, err = command("score", exported, *options, "--approximate", "--incremental")
    assert code == 2
    assert "approximate lists cannot be carried over, as they also depend on other users; leave out" in err
