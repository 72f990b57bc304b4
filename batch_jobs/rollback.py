"""Take a published run back: put the one before in its place, or take the date away."""

from datetime import UTC, datetime
from pathlib import Path
from typing import final

from batch_jobs.publish import claimed, commit, discard, made, settle, trash, warned, withdrawal
from rec_export.errors import DataError, MissingInputError, OutputExistsError, UsageError
from rec_export.record import Record
from rec_export.recs import UNKNOWN_RUN, Recs, RunManifest, run_in, unchanged


@final
class Withdrawal(Record):
    """A run that was taken back: the same command does not publish it again by itself."""

    run_date: str
    run_id: str
    instead: str | None  # the run that was put in its place
    at: str  # UTC, ISO 8601
    reason: str


def roll_back(recs: Recs, run_date: str, to: str | None, withdraw: bool, reason: str) -> Withdrawal | None:
    """Put the run `to` back (None: the last one that was not withdrawn), or nothing; the gates are not asked.

    None is returned where that was done before. Raises MissingInputError where nothing can be put back.
    """
    if withdraw and to is not None:
        raise UsageError(f"--withdraw takes the date away and --to {to} puts a run back; give one of them")
    with claimed(recs, anywhere=True):  # nothing is trusted anew
        live = recs.live(run_date)
        now = run_in(live)
        if (to is not None and now == to) or (withdraw and now is None):
            return None
        if now is None and to is None:
            raise MissingInputError(f"nothing is published at {live}; {choices(recs, live.name)}")
        if now == UNKNOWN_RUN:
            raise OutputExistsError(f"{live} holds what rec-export did not write; move it away")
        instead = None if withdraw else target(recs, live, to)
        done = Withdrawal(
            run_date=run_date, run_id=now or "", instead=instead and instead.name, reason=reason,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        if now is not None:
            made(withdrawal(recs, run_date, now).parent)
            done.write(withdrawal(recs, run_date, now))
        if instead is None:
            discard(recs, live, live.name)
        else:
            commit(instead, live, now)
        with warned("it is done, but what was replaced is not in the trash yet"):
            settle(recs)
        return done


def target(recs: Recs, live: Path, to: str | None) -> Path:
    """The kept run to put back, whole as it was published."""
    runs, run_date = kept(recs, live.name), live.name.removeprefix("run_date=")
    good = [run for run in runs if not withdrawal(recs, run_date, run).is_file()]
    wanted = to or (good[0] if good else None)
    if wanted is None or wanted not in runs:
        raise MissingInputError(f"{why_not(recs, live, to, runs)}; {choices(recs, live.name)}")
    folder = trash(recs, live.name, wanted)
    manifest = RunManifest.read(recs.manifest(run_date, wanted))
    damaged = [part.name for part in manifest.files if not unchanged(folder, part)]
    if damaged:
        raise DataError(
            f"{len(damaged)} parts of the run {wanted} in {folder} are damaged, the first being {damaged[0]};"
            f" {choices(recs, live.name)}"
        )
    return folder


def why_not(recs: Recs, live: Path, to: str | None, runs: list[str]) -> str:
    """Why no run, or not the one that is named, can be put back."""
    if to is not None:
        return f"the run {to} of {live.name} is not kept"
    if runs:  # all of which were withdrawn
        return (
            f"{live.name} was rolled back already: {run_in(live)} is live, and no other run of it is left that is good"
        )
    return f"{run_in(live)} is the only run of {live.name}, so there is none to put back"


def kept(recs: Recs, date: str) -> list[str]:
    """The runs of a date that can be put back, the one that was replaced last first."""
    folders = [path for path in recs.control.glob(f"trash/{date}/*") if run_in(path) == path.name]
    known = [path for path in folders if (recs.control / "manifests" / date / f"{path.name}.json").is_file()]
    return [path.name for path in sorted(known, key=lambda path: path.stat().st_mtime_ns, reverse=True)]


def choices(recs: Recs, date: str) -> str:
    """What can be done instead."""
    runs = kept(recs, date)
    words = [f"--to {runs[0]} puts the run back that was live last"] if runs else []
    if run_in(recs.root / date) is not None:
        words.append("--withdraw takes the date away, so that the one before is the newest")
    dates = recs.dates()
    there = f"the dates {dates[0]} .. {dates[-1]} are published" if dates else "nothing else is published"
    return ", ".join(words) or there
