"""What is live below a read root, at work, or refused, and how the last night ended. Nothing is locked or written."""

from typing import final

from batch_jobs.report import Report
from batch_jobs.rollback import kept
from rec_export.errors import MissingInputError
from rec_export.record import Record
from rec_export.recs import Recs, run_in


@final
class Status(Record):
    """One look at a read root."""

    newest: str | None  # date
    run_id: str | None
    users: int | None
    rows: int | None
    begun_at: str | None  # UTC, ISO 8601
    dates: tuple[str, ...]
    at_work: dict[str, int]  # finished parts by run id; also of a run that was killed
    refused: tuple[str, ...]  # run ids
    kept: tuple[str, ...]  # runs of the newest date that `rollback` can put back
    last_night: Report | None

    def lines(self) -> list[str]:
        """For a person."""
        lines = ["nothing is published"]
        if self.newest is not None:
            told = "its manifest is gone" if self.users is None else f"{self.users:,} users, {self.rows:,} rows"
            lines = [f"live      run_date={self.newest}, run {self.run_id}, {told}, begun {self.begun_at}"]
            lines += [f"dates     {len(self.dates)}, {self.dates[0]} .. {self.dates[-1]}"]
        lines += [f"at work   run {run}, {parts} parts finished" for run, parts in self.at_work.items()]
        lines += [f"refused   run {run}" for run in self.refused]
        lines += [f"kept      run {run} of {self.newest}, for `rollback --to`" for run in self.kept]
        if self.last_night is not None:
            night = self.last_night
            lines += [f"last      {night.line() if night.run_id else f'{night.outcome} run_date={night.run_date}'}"]
            lines += [f"          {night.sentence}"] if night.sentence else []
        return lines


def status(recs: Recs) -> Status:
    """Look. Raises MissingInputError where nothing was ever published or tried."""
    if not recs.root.is_dir() and not recs.control.is_dir():
        raise MissingInputError(f"{recs.root} does not exist; name the --out of a run")
    dates = recs.dates()
    newest = dates[-1] if dates else None
    run_id = None if newest is None else run_in(recs.live(newest))
    known = newest and run_id and recs.manifest(newest, run_id).is_file()
    manifest = recs.told(newest, run_id) if known and newest and run_id else None
    last = recs.control / "report.json"
    return Status(
        newest=newest, run_id=run_id, dates=tuple(dates),
        users=manifest and sum(manifest.users.values()), rows=manifest and manifest.rows,
        begun_at=manifest and manifest.started_at,
        at_work={path.name: len([*path.glob("done/part-*.json")]) for path in recs.control.glob("work/*")},
        refused=tuple(path.name for path in recs.control.glob("failed/*")),
        kept=() if newest is None else tuple(kept(recs, f"run_date={newest}")),
        last_night=Report.read(last) if last.is_file() else None,
    )  # fmt: skip
