"""A night that the gates refuse is kept and leaves what is live; a person can mend it, or answer for it."""

from pathlib import Path

import pytest

from tests.batch_jobs.conftest import LAST, NEXT, halve, night, report
from tests.conftest import contents, done


def test_a_bad_night_is_refused_and_what_is_live_stays(place: Path) -> None:
    night(place, LAST)
    live = contents(place / "recs")
    halve(place)
    said = night(place, NEXT, code=80).err
    assert said.splitlines()[-1].startswith("Error: log_rows is 0.")
    assert f"{place}/recs/run_date={LAST} stays the newest" in said
    told = report(place)
    kept = place / "recs.control" / "failed" / str(told.run_id)
    assert (told.outcome, told.exit_code, contents(place / "recs") == live) == ("refused", 80, True)
    assert "| log_rows | refused | 0." in (kept / "report.md").read_text()
    assert len(list(kept.rglob("*.parquet"))) == 1
    assert "log_rows" in done("inspect", kept)
    assert f"after   {NEXT} ({told.run_id}, refused)" in done("diff", place / "recs", kept)


def test_a_refused_night_can_be_published_by_a_person_with_a_reason_and_without_scoring_again(place: Path) -> None:
    night(place, LAST)
    halve(place)
    night(place, NEXT, code=80)
    said = night(place, NEXT, "--force-gate", "log_rows", "--force-gate", "users", "--force-gate", "sources",
                 "--reason", "the old half | was\narchived").out  # fmt: skip
    assert said.endswith("1 part resumed\n")
    forced = {one.gate: one.reason for one in report(place).gates if one.verdict == "forced"}
    assert forced["log_rows"] == "the old half | was\narchived"
    table = [line for line in report(place).markdown().splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {6}
    assert list((place / "recs.control" / "failed").iterdir()) == []


def test_a_night_whose_inputs_were_repaired_is_published_by_the_same_command(place: Path) -> None:
    night(place, LAST)
    whole = (place / "interactions.parquet").read_bytes()
    halve(place)
    night(place, NEXT, code=80)
    (place / "interactions.parquet").write_bytes(whole)
    night(place, NEXT)
    assert [path.name for path in sorted((place / "recs").iterdir())] == [f"run_date={LAST}", f"run_date={NEXT}"]


def test_a_gate_that_does_not_exist_is_refused_before_anything_is_done(place: Path) -> None:
    said = night(place, LAST, "--force-gate", "overlapp", "--reason", "x", code=2).err
    assert (said, (place / "recs.control").exists()) == (
        "Error: there is no gate 'overlapp'; did you mean 'overlap'?\n", False,
    )  # fmt: skip


def test_a_night_that_is_kept_says_that_another_gate_was_not_asked(place: Path) -> None:
    night(place, LAST, "--gate-cmd", "true")
    assert night(place, LAST, "--gate-cmd", "true").err == ""
    assert "and 'false' was not asked about it" in night(place, LAST, "--gate-cmd", "false").err
    assert "so --force-gate users is not recorded" in night(place, LAST, "--force-gate", "users", "--reason", "x").err


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
        ("cat|true", 2, "is not read by a shell"),
        ("$HOME/check.sh", 2, "is not read by a shell"),
        ("no-such-program", 66, "is not a program that can be run"),
    ],
)
def test_a_gates_command_that_cannot_run_is_told_before_scoring(
    place: Path, command_line: str, code: int, said: str
) -> None:
    assert said in night(place, LAST, "--gate-cmd", command_line, code=code).err
    assert not (place / "recs.control" / "work").exists()


def test_a_damaged_manifest_of_the_night_before_does_not_stop_tonight(place: Path) -> None:
    night(place, LAST)
    (manifest,) = (place / "recs.control" / "manifests").rglob("*.json")
    manifest.write_text("{")
    night(place, NEXT)
    assert {one.verdict for one in report(place).gates if one.gate in ("users", "overlap")} == {"skipped"}
