"""Take a published run back: put the one before in its place, or take the date away."""

from datetime import UTC, datetime

from batch_jobs.destination import Destination
from rec_export.errors import DataError, MissingInputError, OutputExistsError, UsageError
from rec_export.published import Withdrawal
from rec_export.recs import UNKNOWN_RUN


def roll_back(place: Destination, run_date: str, to: str | None, withdraw: bool, reason: str) -> Withdrawal | None:
    """Put the run `to` back (None: the last one that was not withdrawn), or nothing; the gates are not asked.

    None is returned where that was done before. Raises MissingInputError where nothing can be put back.
    """
    if withdraw and to is not None:
        raise UsageError(f"--withdraw takes the date away and --to {to} puts a run back; give one of them")
    with place.claimed(anywhere=True):  # nothing is trusted anew
        now, where = place.recs.run_id(run_date), place.recs.where(run_date)
        taken = now is None and any(one.run_date == run_date for one in place.withdrawn())
        if (to is not None and now == to) or (withdraw and taken):
            return None
        if now is None and to is None:
            raise MissingInputError(f"nothing is published at {where}; {choices(place, run_date)}")
        if now == UNKNOWN_RUN:
            raise OutputExistsError(f"{where} holds what rec-export did not write; move it away")
        done = Withdrawal(
            run_date=run_date, run_id=now or "", instead=None if withdraw else target(place, run_date, to),
            reason=reason, at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        place.put_back(done)
        return done


def target(place: Destination, run_date: str, to: str | None) -> str:
    """The kept run to put back, whole as it was published."""
    runs = place.kept(run_date)
    good = [run for run in runs if not place.is_withdrawn(run_date, run)]
    wanted = to or (good[0] if good else None)
    if wanted is None or wanted not in runs:
        raise MissingInputError(f"{why_not(place, run_date, to, runs)}; {choices(place, run_date)}")
    damaged = place.damaged(run_date, wanted)
    if damaged:
        raise DataError(
            f"{len(damaged)} parts of the run {wanted}, which was kept, are damaged, the first being {damaged[0]};"
            f" {choices(place, run_date)}"
        )
    return wanted


def why_not(place: Destination, run_date: str, to: str | None, runs: list[str]) -> str:
    """Why no run, or not the one that is named, can be put back."""
    date, now = f"run_date={run_date}", place.recs.run_id(run_date)
    if to is not None:
        return f"the run {to} of {date} is not kept"
    if runs:  # all of which were withdrawn
        return f"{now} is live at {date}, and every other run of it that is kept was withdrawn"
    return f"{now} is the only run of {date}, so there is none to put back"


def choices(place: Destination, run_date: str) -> str:
    """What can be done instead."""
    runs = place.kept(run_date)
    words = [f"--to {runs[0]} puts the run back that was live last"] if runs else []
    if place.recs.run_id(run_date) is not None:
        words.append("--withdraw takes the date away, so that the one before is the newest")
    dates = place.recs.dates()
    there = f"the dates {dates[0]} .. {dates[-1]} are published" if dates else "nothing else is published"
    return ", ".join(words) or there
