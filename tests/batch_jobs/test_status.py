"""`status` tells what is live, at work, stopped and refused, and writes nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_jobs.holders import LOCKS, state
from rec_export.files import is_locked, locked
from tests.batch_jobs.conftest import LAST, NEXT, halve, night, report
from tests.conftest import command, done


def test_status_says_why_and_when_a_night_was_refused(place: Path) -> None:
    night(place, LAST)
    halve(place)
    night(place, NEXT, code=80)
    told, first = report(place), done("status", place / "recs").splitlines()
    begun = f"refused   run_date={NEXT}, run {told.run_id}, begun {told.started_at}"
    assert begun in first
    assert sum("log_rows is 0." in line for line in first) == 1  # at the end, where the last night is told of
    night(place, "2026-11-02", code=80)
    assert f"{begun}: log_rows is 0." in "\n".join(done("status", place / "recs").splitlines())


def test_what_was_refused_at_a_date_that_was_published_later_is_only_counted(place: Path) -> None:
    night(place, LAST)
    whole = (place / "interactions.parquet").read_bytes()
    halve(place)
    night(place, NEXT, code=80)
    (place / "interactions.parquet").write_bytes(whole)
    began = json.loads(done("status", place / "recs", "--json"))["refused"][0]["at"]
    while datetime.now(UTC).replace(microsecond=0) <= datetime.fromisoformat(began):  # of which seconds are told
        time.sleep(0.05)
    night(place, NEXT)
    lines = done("status", place / "recs").splitlines()
    assert [line for line in lines if line.startswith("refused")] == [
        "refused   1 more, of dates that were published later"
    ]
    (kept,) = json.loads(done("status", place / "recs", "--json"))["refused"]
    assert (kept["run_date"], kept["mended"]) == (NEXT, True)


def test_status_tells_the_exit_code_of_a_night_that_did_not_get_as_far_as_a_run(place: Path) -> None:
    (place / "interactions.parquet").rename(place / "away.parquet")
    night(place, LAST, code=66)
    lines = done("status", place / "recs").splitlines()
    at = next(row for row, line in enumerate(lines) if line.startswith("last"))
    assert lines[at].startswith(f"last      failed run_date={LAST}, begun ")
    assert lines[at].endswith(", exit code 66")
    assert "interactions.parquet" in lines[at + 1]


def test_status_of_reports_that_are_no_text(place: Path) -> None:
    for folder in (place / "recs.control", place / "recs.control" / "failed" / "0123456789ab"):
        folder.mkdir(parents=True)
        (folder / "report.json").write_bytes(b"\xff\xfe")
    assert "refused   run 0123456789ab, its report is gone\n" in done("status", place / "recs")


def test_status_tells_all_it_can_where_the_newest_manifest_is_damaged_and_replace_mends_it(place: Path) -> None:
    night(place, LAST)
    night(place, NEXT)
    (manifest,) = (place / "recs.control" / "manifests" / f"run_date={NEXT}").iterdir()
    whole, said = json.loads(manifest.read_text()), done("status", place / "recs").splitlines()
    manifest.write_text('{"half')
    live, warning, *others = done("status", place / "recs").splitlines()
    assert (live, others) == (f"live      run_date={NEXT}, run {whole['run_id']}", said[1:])
    assert warning.startswith(f"WARNING   {manifest} is not a valid RunManifest: Invalid JSON: ")
    assert warning.endswith("or make the run again with --replace")
    night(place, NEXT, code=65)
    night(place, NEXT, "--replace")
    assert json.loads(manifest.read_text())["files"] == whole["files"]


def test_a_damaged_record_of_a_run_that_was_taken_back_still_says_that_it_was(place: Path) -> None:
    night(place, LAST)
    done("rollback", place / "recs", "--run-date", LAST, "--withdraw")
    (mark,) = (place / "recs.control" / "withdrawn").rglob("*.json")
    mark.write_text("{")
    assert f"withdrawn run {mark.stem} of run_date={LAST}: {mark} is not a valid" in done("status", place / "recs")


@pytest.mark.parametrize("words", ["status", "verify-run", "rollback"])
def test_what_is_looked_at_and_is_no_read_root_is_missing_and_not_in_the_way(words: str, exported: Path) -> None:
    answer = command(words, exported)
    said = (
        f"Error: {exported} is a bundle, as it holds manifest.json, and no read root; name the --out of `score` or"
        f" `nightly`; `rec-export inspect {exported}` looks at this\n"
    )
    assert (answer.code, answer.err) == (66, said)


@pytest.mark.parametrize("shared", [True, False])
def test_status_tells_a_run_at_work_from_one_that_was_killed(shared: bool, place: Path) -> None:
    (place / "recs.control" / "work" / "0123456789ab" / "done").mkdir(parents=True)
    with locked(place / "recs.control" / "lock", shared=shared):
        assert "at work   run 0123456789ab, no part finished yet, last change " in done("status", place / "recs")
    assert "stopped   run 0123456789ab, no part finished yet; the same command" in done("status", place / "recs")


@pytest.fixture
def begun(place: Path) -> Path:
    """The folder of a run of which two of four parts are finished."""
    work = place / "recs.control" / "work" / "0123456789ab"
    (work / "run_date=2026-10-31").mkdir(parents=True)
    (work / "done").mkdir()
    for number in (0, 2):
        (work / "done" / f"part-{number:05d}-of-00004-0123456789ab.json").touch()
    return work


def test_status_tells_which_parts_of_how_many_are_finished(place: Path, begun: Path) -> None:
    said = "stopped   run 0123456789ab of run_date=2026-10-31, 2 of 4 parts finished (missing 1, 3); the same"
    assert said in done("status", place / "recs")
    told = json.loads(done("status", place / "recs", "--json"))
    assert (told["at_work"], told["stopped"][0]["missing"], told["lock"]) == ([], [1, 3], None)


HOLD = "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); time.sleep(60)"


@pytest.mark.skipif(not LOCKS.exists(), reason="only Linux tells who holds a lock")
def test_status_tells_who_holds_the_lock_and_that_it_was_stopped(place: Path, begun: Path) -> None:
    lock = begun.parents[1] / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock]) as holder:
        try:
            wait_for(lambda: is_locked(lock))
            assert f"locked    by process {holder.pid}\n" in done("status", place / "recs")
            os.kill(holder.pid, signal.SIGSTOP)
            wait_for(lambda: state(holder.pid) == "T")
            said = done("status", place / "recs")
            assert f"locked    by process {holder.pid}, which is stopped" in said
            assert "WARNING   nothing goes on until it is continued" in said
        finally:
            holder.kill()
    wait_for(lambda: not is_locked(lock))
    assert "locked" not in done("status", place / "recs")  # the file alone is no lock


def test_status_warns_of_a_run_at_work_that_has_written_nothing_for_long(place: Path, begun: Path) -> None:
    for path in (begun, *begun.glob("*")):
        os.utime(path, (0, 0))
    with locked(begun.parents[1] / "lock"):
        assert "WARNING   nothing was written for " in done("status", place / "recs")


def wait_for(reached: Callable[[], bool]) -> None:
    """Until something is so; half a minute at most."""
    end = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)
