"""What `score` has published was asked no gate: a night makes it once more, and asks them."""

from pathlib import Path

import pytest

from batch_jobs import scoring
from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, configured, live_part, night, report, scored
from tests.conftest import done


def test_a_night_that_score_has_published_is_held_against_the_gates(place: Path, exported: Path) -> None:
    run_id = scored(place, exported, place / "recs")
    before = live_part(place, LAST).read_bytes()
    said = night(place, LAST)
    assert said.out.startswith(f"published run_date={LAST} run {run_id}: ")
    assert f"the run {run_id} was published without gates; it is made once more" in said.err
    assert len(Recs.at(place / "recs").told(LAST, run_id).gates) > 1
    assert live_part(place, LAST).read_bytes() == before
    assert night(place, LAST).out.startswith("kept ")
    done("verify-run", place / "recs")


def test_a_dry_run_of_such_a_night_says_what_it_would_do(place: Path, exported: Path) -> None:
    run_id = scored(place, exported, place / "recs")
    answer = night(place, LAST, "--dry-run")
    assert f"the run {run_id} was published without gates; it is made once more" in answer.err
    assert "then ask the gates whether it may be published" in answer.out
    said = night(place, LAST, "--dry-run", "--executor", "shards", code=73).err
    assert said.startswith(f"Error: the run {run_id} is live, but was published without gates")


def test_a_night_that_is_made_once_more_goes_on_from_what_was_finished(
    place: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(place, exported, place / "recs")

    def killed(*rest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as now:
        now.setattr(scoring, "pass_gates", killed)
        night(place, LAST, code=130)
    assert night(place, LAST).out.endswith(", 1 part resumed\n")
    assert not (place / "recs.control" / "work").exists()


def test_a_night_that_score_has_published_may_be_refused(place: Path, exported: Path) -> None:
    run_id = scored(place, exported, place / "recs")
    configured(place, exported, {"newest_event_hours": 0.01})
    said = night(place, LAST, code=80).err
    assert f"/recs/run_date={LAST} still holds it, which `rec-export rollback` takes back, and the run is kept" in said
    assert (report(place).exit_code, report(place).outcome, report(place).run_id) == (80, "refused", run_id)
    assert Recs.at(place / "recs").run_id(LAST) == run_id
    assert len(list((place / "recs.control" / "failed" / run_id).glob("run_date=*/part-*"))) == 1
    night(place, LAST, code=80)  # and again


def test_what_score_has_published_is_not_made_again_by_shards(place: Path, exported: Path) -> None:
    run_id = scored(place, exported, place / "recs")
    said = night(place, LAST, "--executor", "shards", code=73).err
    assert said.startswith(f"Error: the run {run_id} is live, but was published without gates; ")
