"""What is live below a read root, at work, or refused, and how the last night ended. Nothing is written."""

from typing import Self, final

from batch_jobs.destination import Destination
from batch_jobs.report import Report, changed, report_in
from rec_export.errors import MissingInputError
from rec_export.files import is_locked
from rec_export.published import Withdrawal
from rec_export.record import Record
from rec_export.recs import Recs, RunManifest


@final
class Refused(Record):
    """A run that the gates refused, and that is kept."""

    run_id: str
    run_date: str | None = None  # None: its report is gone
    at: str = ""  # UTC, ISO 8601
    sentence: str = ""

    @classmethod
    def of(cls, run_id: str, report: str | None) -> Self:  # type: ignore[override]
        """What its report says, in JSON."""
        told = report_in(report)
        if told is None:
            return cls(run_id=run_id)
        return cls(run_id=run_id, run_date=told.run_date, at=told.started_at, sentence=told.sentence)

    def line(self) -> str:
        """For a person."""
        if self.run_date is None:
            return f"run {self.run_id}, its report is gone"
        return f"run_date={self.run_date}, run {self.run_id}, begun {self.at}: {self.sentence.partition(';')[0]}"


@final
class Status(Record):
    """One look at a read root."""

    newest: str | None  # date
    run_id: str | None
    users: int | None
    rows: int | None
    begun_at: str | None  # UTC, ISO 8601
    dates: tuple[str, ...]
    at_work: dict[str, int]  # finished parts by run id
    stopped: dict[str, int]  # the same, of runs that were killed or failed half-way
    refused: tuple[Refused, ...]  # the newest first
    kept: tuple[str, ...]  # runs of the newest date that `rollback` can put back
    withdrawn: tuple[Withdrawal, ...]  # runs that were taken back and are not live; the newest first
    last_night: Report | None

    def lines(self) -> list[str]:
        """For a person."""
        lines = ["nothing is published"]
        if self.newest is not None:
            told = "its manifest is gone" if self.users is None else f"{self.users:,} users, {self.rows:,} rows"
            lines = [f"live      run_date={self.newest}, run {self.run_id}, {told}, begun {self.begun_at}"]
            lines += [f"dates     {len(self.dates)}, {self.dates[0]} .. {self.dates[-1]}"]
        lines += [f"at work   run {run}, {parts} parts finished" for run, parts in self.at_work.items()]
        lines += [
            f"stopped   run {run}, {parts} parts finished; the same command goes on from there"
            for run, parts in self.stopped.items()
        ]
        lines += [f"refused   {run.line()}" for run in self.refused]
        lines += [f"kept      run {run} of {self.newest}, for `rollback --to`" for run in self.kept]
        lines += [
            f"withdrawn run {one.run_id} of run_date={one.run_date}, {one.at}"
            + (f": {one.reason}" if one.reason else "")
            for one in self.withdrawn
        ]
        if self.last_night is not None:
            night = self.last_night
            lines += [f"last      {night.line() if night.run_id else f'{night.outcome} run_date={night.run_date}'}"]
            lines += [f"          {night.sentence}"] if night.sentence else []
            gone = night.run_id in {one.run_id for one in self.withdrawn}
            lines += ["          it was taken back since"] if gone else []
        return lines


def status(place: Destination) -> Status:
    """Look. Raises MissingInputError where nothing was ever published or tried."""
    recs = place.recs
    if isinstance(recs, Recs) and not recs.root.is_dir() and not recs.control.is_dir():
        raise MissingInputError(f"{recs.root} does not exist; name the --out of a run")
    dates = recs.dates()
    newest = dates[-1] if dates else None
    run_id = None if newest is None else recs.run_id(newest)
    manifest = told(place, newest, run_id)
    begun = {path: len([*path.glob("done/part-*.json")]) for path in sorted(recs.control.glob("work/*"), key=changed)}
    at_work = [*begun][-1:] if is_locked(recs.control / "lock") else []
    return Status(
        newest=newest, run_id=run_id, dates=tuple(dates),
        users=manifest and sum(manifest.users.values()), rows=manifest and manifest.rows,
        begun_at=manifest and manifest.started_at,
        at_work={path.name: begun[path] for path in at_work},
        stopped={path.name: parts for path, parts in begun.items() if path not in at_work},
        refused=tuple(Refused.of(run, report) for run, report in place.refused().items()),
        withdrawn=tuple(sorted(place.withdrawn(), key=lambda one: one.at, reverse=True)),
        kept=() if newest is None else tuple(place.kept(newest)),
        last_night=report_in(place.report()),
    )  # fmt: skip


def told(place: Destination, newest: str | None, run_id: str | None) -> RunManifest | None:
    """The manifest of the newest run; None where it is gone."""
    if newest is None or run_id is None:
        return None
    try:
        return place.recs.told(newest, run_id)
    except MissingInputError:
        return None
