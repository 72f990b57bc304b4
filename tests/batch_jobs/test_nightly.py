"""A night publishes a whole, checked, fresh run, or leaves what is live in its place and says why."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from batch_jobs import today
from batch_jobs.report import Report
from rec_export.cli import terminated
from rec_export.files import locked
from rec_export.recs import Recs
from tests.conftest import Answer, command, contents, done, read_lists

LAST, NEXT = "2026-10-30", "2026-10-31"
EASY = {"short_lists": 1.0, "first_item": 1.0, "same_list": 1.0}  # a model that learned for one epoch


@pytest.fixture
def place(exported: Path, shop_copy: Path) -> Path:
    """A shop with a configuration for its nights."""
    return configured(shop_copy, exported)


def configured(shop: Path, bundle: Path, gates: dict[str, Any] | None = None, **nightly: Any) -> Path:
    """The shop's configuration with a section `nightly`."""
    fields = yaml.safe_load((shop / "config.yaml").read_text())
    section = {"bundle": str(bundle), "out": "recs", "gates": {**EASY, **(gates or {})}, **nightly}
    (shop / "config.yaml").write_text(yaml.safe_dump({**fields, "score": {"k": 5}, "nightly": section}))
    return shop


def night(place: Path, day: str, *more: object, code: int = 0) -> Answer:
    """A night that ends with `code`."""
    answer = command("nightly", place / "config.yaml", "--run-date", day, *more)
    assert answer.code == code, answer.err
    return answer


def report(place: Path) -> Report:
    """What is written of the last night."""
    return Report.read(place / "recs.control" / "report.json")


def halve(place: Path) -> None:
    """Somebody truncates the log."""
    log = pd.read_parquet(place / "interactions.parquet").sort_values("timestamp")
    log.tail(len(log) // 2).to_parquet(place / "interactions.parquet")


def test_a_night_publishes_lists_for_everybody_and_says_so_in_one_line(place: Path) -> None:
    said = night(place, LAST).out
    run = Recs.at(place / "recs").told(LAST, report(place).run_id or "")
    assert said.startswith(f"published run_date={LAST} run {run.run_id}: ")
    assert said.count("\n") == 1
    users = pd.read_parquet(place / "users.parquet").user_id
    assert set(users) <= set(read_lists(place / "recs")["user_id"].to_pylist())
    assert (run.k, run.whom, run.gates) == (5, "all", report(place).gates)


def test_the_same_night_again_writes_nothing(place: Path) -> None:
    night(place, LAST)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert night(place, LAST).out.startswith("kept ")
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_shards_make_a_night_that_is_then_published(place: Path) -> None:
    said = [night(place, LAST, "--shard-index", index, "--shard-count", 2).out for index in (0, 1)]
    assert [line.partition(": ")[2] for line in said] == [
        "1 parts are made, 0 were there before\n",
        "0 parts are made, 0 were there before\n",
    ]
    assert not (place / "recs").exists()
    assert night(place, LAST, "--executor", "shards").out.startswith(f"published run_date={LAST} ")
    assert night(place, NEXT, "--executor", "shards", code=75).err.startswith("Error: 1 of 1 parts are not in ")


def test_quiet_says_nothing_of_a_night_that_went_well(place: Path) -> None:
    assert done("nightly", place / "config.yaml", "--run-date", LAST) == ""


def test_a_bad_night_is_refused_and_what_is_live_stays(place: Path) -> None:
    night(place, LAST)
    live = contents(place / "recs")
    halve(place)
    said = night(place, NEXT, code=80).err
    assert said.startswith("Error: log_rows is 0.")
    assert f"{place}/recs/run_date={LAST} stays the newest" in said
    told = report(place)
    kept = place / "recs.control" / "failed" / str(told.run_id)
    assert (told.outcome, told.exit_code, contents(place / "recs") == live) == ("refused", 80, True)
    assert "| log_rows | refused | 0." in (kept / "report.md").read_text()
    assert len(list(kept.rglob("*.parquet"))) == 1


def test_a_refused_night_can_be_published_by_a_person_with_a_reason_and_without_scoring_again(place: Path) -> None:
    night(place, LAST)
    halve(place)
    night(place, NEXT, code=80)
    said = night(place, NEXT, "--force-gate", "log_rows", "--force-gate", "users", "--force-gate", "sources",
                 "--reason", "the old half was archived").out  # fmt: skip
    assert said.endswith("1 parts resumed\n")
    forced = {one.gate: one.reason for one in report(place).gates if one.verdict == "forced"}
    assert forced["log_rows"] == "the old half was archived"
    assert list((place / "recs.control" / "failed").iterdir()) == []


def test_a_night_whose_inputs_were_repaired_is_published_by_the_same_command(place: Path) -> None:
    night(place, LAST)
    whole = (place / "interactions.parquet").read_bytes()
    halve(place)
    night(place, NEXT, code=80)
    (place / "interactions.parquet").write_bytes(whole)
    night(place, NEXT)
    assert [path.name for path in sorted((place / "recs").iterdir())] == [f"run_date={LAST}", f"run_date={NEXT}"]


def test_a_night_that_fails_leaves_a_report(place: Path) -> None:
    night(place, LAST)
    live = contents(place / "recs")
    (place / "interactions.parquet").write_bytes(b"PAR1")
    said = night(place, NEXT, code=65).err
    told = report(place)
    assert (told.outcome, told.exit_code, f"Error: {told.sentence}\n") == ("failed", 65, said)
    assert contents(place / "recs") == live


def test_a_night_that_is_terminated_leaves_a_report(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch_jobs.scoring.look", lambda *anything: terminated(15, None))
    with pytest.raises(SystemExit):
        command("nightly", place / "config.yaml", "--run-date", LAST)
    assert (report(place).exit_code, report(place).sentence.split(";")[0]) == (143, "ended by signal 15")


def test_prometheus_is_told_of_success_and_failure(place: Path, exported: Path) -> None:
    configured(place, exported, metrics="rec_export.prom")
    night(place, LAST)
    good = metrics(place)
    halve(place)
    night(place, NEXT, code=80)
    bad = metrics(place)
    success = "rec_export_last_success_timestamp_seconds"
    assert (good["rec_export_exit_code"], bad["rec_export_exit_code"], bad[success]) == ("0", "80", good[success])
    assert bad['rec_export_gate_refused{gate="log_rows"}'] == "1"


def metrics(place: Path) -> dict[str, str]:
    """The values in the file for Prometheus, by name."""
    lines = (place / "rec_export.prom").read_text().splitlines()
    return {name: value for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_second_night_at_the_same_time_leaves_the_report_to_the_first(place: Path) -> None:
    from batch_jobs.publish import claimed

    night(place, LAST)
    before = report(place)
    with claimed(Recs.at(place / "recs")):
        night(place, NEXT, code=75)
    assert report(place) == before


def test_old_dates_go_and_the_newest_stay(place: Path, exported: Path) -> None:
    retention = {"dates": 2, "trash_hours": 0}
    configured(place, exported, retention=retention)
    for day in ("2026-10-28", "2026-10-29", LAST, NEXT):
        night(place, day)
    assert Recs.at(place / "recs").dates() == [LAST, NEXT]
    left = list((place / "recs.control" / "trash").rglob("*.parquet"))
    assert left == []


def test_a_night_of_the_past_does_not_become_the_newest(place: Path) -> None:
    night(place, NEXT)
    night(place, LAST)
    assert json.loads((place / "recs.control" / "latest.json").read_text())["run_date"] == NEXT


def test_columns_that_the_training_did_not_read_are_refused(place: Path) -> None:
    fields = yaml.safe_load((place / "config.yaml").read_text())
    fields["data"]["interactions"]["positive"] = 3
    (place / "config.yaml").write_text(yaml.safe_dump(fields))
    said = night(place, LAST, code=2).err
    assert "data.interactions.positive is 3.0, but the bundle" in said


def test_a_configuration_without_nights_is_refused(shop_copy: Path) -> None:
    fields = yaml.safe_load((shop_copy / "config.yaml").read_text())
    (shop_copy / "config.yaml").write_text(yaml.safe_dump({**fields, "nightly": None}))
    code, _, err = command("nightly", shop_copy / "config.yaml")
    assert (code, "no section 'nightly'" in err) == (2, True)


def test_a_gate_that_does_not_exist_is_refused_before_anything_is_done(place: Path) -> None:
    said = night(place, LAST, "--force-gate", "overlapp", "--reason", "x", code=2).err
    assert (said, (place / "recs.control").exists()) == (
        "Error: there is no gate 'overlapp'; did you mean 'overlap'?\n", False,
    )  # fmt: skip


def live_part(place: Path, day: str) -> Path:
    """The one part of a date."""
    (part,) = (place / "recs" / f"run_date={day}").glob("*.parquet")
    return part


def test_status_says_why_and_when_a_night_was_refused(place: Path) -> None:
    night(place, LAST)
    halve(place)
    night(place, NEXT, code=80)
    (line,) = [line for line in done("status", place / "recs").splitlines() if line.startswith("refused")]
    told = report(place)
    assert line.startswith(f"refused   run_date={NEXT}, run {told.run_id}, begun {told.started_at}: log_rows is 0.")


@pytest.mark.parametrize("shared", [True, False])
def test_status_tells_a_run_at_work_from_one_that_was_killed(shared: bool, place: Path) -> None:
    (place / "recs.control" / "work" / "0123456789ab" / "done").mkdir(parents=True)
    with locked(place / "recs.control" / "lock", shared=shared):
        assert "at work   run 0123456789ab, 0 parts finished\n" in done("status", place / "recs")
    assert "stopped   run 0123456789ab, 0 parts finished; the same command" in done("status", place / "recs")


def test_a_night_that_is_kept_says_that_another_gate_was_not_asked(place: Path) -> None:
    night(place, LAST, "--gate-cmd", "true")
    assert night(place, LAST, "--gate-cmd", "true").err == ""
    assert "and 'false' was not asked about it" in night(place, LAST, "--gate-cmd", "false").err
    assert "so --force-gate users is not recorded" in night(place, LAST, "--force-gate", "users", "--reason", "x").err


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ("", 66, "PLACE is no bundle, as it holds no manifest.json; did you mean PLACE/bundle?"),
        ("recs", 66, "PLACE/recs is no bundle, as it holds no manifest.json; did you mean PLACE/bundle?"),
        ("bundel", 66, "the bundle PLACE/bundel does not exist; make it with"),
        ("checkpoint", 2, "PLACE/checkpoint is a checkpoint; export it first"),
    ],
)
def test_a_wrong_folder_as_the_bundle_is_told_from_a_right_one(
    wrong: str, code: int, said: str, place: Path, exported: Path, trained: Path
) -> None:
    (place / "recs").mkdir()
    (place / "bundle").symlink_to(exported)
    (place / "checkpoint").symlink_to(trained)
    configured(place, place / wrong)
    assert said in night(place, LAST, code=code).err.replace(str(place), "PLACE")


def test_a_damaged_live_run_is_said_and_replaced_if_asked(place: Path) -> None:
    night(place, LAST)
    whole = live_part(place, LAST).read_bytes()
    live_part(place, LAST).write_bytes(whole[:-100])
    assert "are not what was published" in night(place, LAST, code=65).err
    assert night(place, LAST, "--replace").out.startswith("published ")
    assert live_part(place, LAST).read_bytes() == whole


def test_a_damaged_manifest_of_the_night_before_does_not_stop_tonight(place: Path) -> None:
    night(place, LAST)
    (manifest,) = (place / "recs.control" / "manifests").rglob("*.json")
    manifest.write_text("{")
    night(place, NEXT)
    assert {one.verdict for one in report(place).gates if one.gate in ("users", "overlap")} == {"skipped"}


def test_a_bundle_that_changes_while_the_log_is_read_is_not_published(
    place: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    configured(place, bundle)
    whole = today.look

    def look(*arguments: Any) -> Any:
        (bundle / "model_is_new").write_text("")
        return whole(*arguments)

    monkeypatch.setattr("batch_jobs.scoring.look", look)
    assert "was changed while it was read" in night(place, LAST, code=65).err
    assert not (place / "recs").exists()


@pytest.mark.parametrize("harm", ["truncate -s 100 $1/*.parquet", "touch $1/report.txt"])
def test_what_a_gates_command_changes_is_not_published(place: Path, harm: str) -> None:
    script = place / "check.sh"
    script.write_text(f"#!/bin/sh\n{harm}\n")
    script.chmod(0o755)
    assert "when it was checked" in night(place, LAST, "--gate-cmd", script, code=65).err
    assert not (place / "recs").exists()


@pytest.mark.parametrize(
    ("command_line", "code", "said"),
    [
        ("", 2, "the gate's command is empty"),
        ("it's", 2, "cannot be split into words"),
        ("test -d $1; exit 3", 2, "is not read by a shell"),
        ("no-such-program", 66, "is not a program that can be run"),
    ],
)
def test_a_gates_command_that_cannot_run_is_told_before_scoring(
    place: Path, command_line: str, code: int, said: str
) -> None:
    assert said in night(place, LAST, "--gate-cmd", command_line, code=code).err
    assert not (place / "recs.control" / "work").exists()


def test_the_retention_leaves_what_is_others_and_what_was_just_published(place: Path, exported: Path) -> None:
    configured(place, exported, {"newest_event_hours": 9999}, retention={"dates": 2})
    strange = place / "recs" / "run_date=2020-01-01" / "mine.parquet"
    strange.parent.mkdir(parents=True)
    strange.write_bytes(b"mine")
    for day in (NEXT, LAST, "2026-10-29"):  # the last is older than the two to keep
        night(place, day, "--force-gate", "overlap", "--reason", "x")
    assert Recs.at(place / "recs").dates() == ["2020-01-01", "2026-10-29", LAST, NEXT]
    assert strange.read_bytes() == b"mine"


def test_old_refusals_go_on_a_night_that_is_refused_too(place: Path, exported: Path) -> None:
    night(place, LAST)
    halve(place)
    configured(place, exported, retention={"failed_hours": 0})
    night(place, NEXT, code=80)
    first = set((place / "recs.control" / "failed").iterdir())
    halve(place)
    night(place, NEXT, code=80)
    assert not first & set((place / "recs.control" / "failed").iterdir())


def test_a_report_of_failure_gives_way_when_all_is_well_again(place: Path) -> None:
    night(place, LAST)
    log = place / "interactions.parquet"
    log.rename(place / "away")
    night(place, LAST, code=66)
    (place / "away").rename(log)
    night(place, LAST)
    assert (report(place).outcome, report(place).exit_code) == ("kept", 0)


def test_items_that_the_model_does_not_know_at_all_are_not_recommended(place: Path) -> None:
    items = pd.read_parquet(place / "items.parquet")
    items.assign(item_id="x" + items.item_id.astype(str)).to_parquet(place / "items.parquet")
    assert "check that the ids are of the same kind" in night(place, LAST, code=65).err


def test_rows_without_a_user_are_told(place: Path) -> None:
    log = pd.read_parquet(place / "interactions.parquet")
    log.loc[:2, "user_id"] = None
    log.to_parquet(place / "interactions.parquet")
    assert "3 rows of" in night(place, LAST).err
