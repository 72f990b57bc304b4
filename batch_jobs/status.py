"""What is live below a read root, at work, or refused, and how the last night ended. Nothing is written."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, final

from batch_jobs.destination import Destination
from batch_jobs.holders import Holder, holders
from batch_jobs.report import Report, changed, report_in
from rec_export.bucket import Bucket
from rec_export.errors import MissingInputError, ModelError
from rec_export.files import absent
from rec_export.forecast import lasting
from rec_export.published import Published, Withdrawal
from rec_export.record import Record
from rec_export.recs import FOLDER, Recs
from rec_export.run_manifest import RunManifest

SIDECAR = re.compile(r"part-(\d{5})-of-(\d{5})-[0-9a-f]{12}\.json")
QUIET = timedelta(hours=1)  # without a change in the folder of a run at work, from which a person should look
MOST_NAMED = 10  # missing parts
MOST_DAYS = 10  # whose kept runs are looked for


@final
class Refused(Record):
    """A run that the gates refused, and that is kept."""

    run_id: str
    run_date: str | None = None  # None: its report is gone
    at: str = ""  # UTC, ISO 8601
    sentence: str = ""
    mended: bool = False  # its date was published by a run that began later

    @classmethod
    def of(cls, run_id: str, report: str | None, recs: Published) -> Self:  # type: ignore[override]
        """What its report says, in JSON."""
        told = report_in(report)
        if told is None:
            return cls(run_id=run_id)
        begun = live_since(recs, told.run_date)
        mended = begun is not None and begun > told.started_at  # both UTC, to the second, as text
        return cls(
            run_id=run_id, run_date=told.run_date, at=told.started_at, sentence=told.sentence, mended=mended
        )  # fmt: skip

    def line(self, *, told: bool) -> str:
        """For a person; why, where that is not told elsewhere."""
        if self.run_date is None:
            return f"run {self.run_id}, its report is gone"
        why = "" if told else f": {self.sentence.partition(';')[0]}"
        return f"run_date={self.run_date}, run {self.run_id}, begun {self.at}{why}"


@final
class UnderWay(Record):
    """A run that is not published yet."""

    run_id: str
    run_date: str | None
    finished: int  # parts
    total: int | None  # of so many; None: no part is finished, and only their names tell
    missing: tuple[int, ...]  # numbers of the parts that are not finished
    changed_at: str  # UTC, ISO 8601: when something was put into its folder last

    @classmethod
    def at(cls, folder: Path) -> Self:
        """What the folder of its work holds."""
        names = [match for path in folder.glob("done/*.json") if (match := SIDECAR.fullmatch(path.name))]
        there = {int(match[1]) for match in names}
        total = max((int(match[2]) for match in names), default=None)
        dates = [match[1] for path in folder.glob("run_date=*") if (match := FOLDER.fullmatch(path.name))]
        return cls(
            run_id=folder.name, run_date=dates[0] if dates else None, finished=len(there), total=total,
            missing=tuple(sorted(set(range(total or 0)) - there)), changed_at=moment(changed(folder)).isoformat(),
        )  # fmt: skip

    def line(self) -> str:
        """For a person."""
        date = "" if self.run_date is None else f" of run_date={self.run_date}"
        if self.total is None:
            return f"run {self.run_id}{date}, no part finished yet"
        numbers = ", ".join(map(str, self.missing[:MOST_NAMED])) + (", ..." if len(self.missing) > MOST_NAMED else "")
        missing = f" (missing {numbers})" if self.missing else ""
        return f"run {self.run_id}{date}, {self.finished} of {self.total} parts finished{missing}"


@final
class Status(Record):
    """One look at a read root."""

    newest: str | None  # date
    run_id: str | None
    users: int | None
    rows: int | None
    begun_at: str | None  # UTC, ISO 8601
    unread: str | None  # why the manifest of the newest run tells nothing, though it is live
    dates: tuple[str, ...]
    at_work: tuple[UnderWay, ...]
    stopped: tuple[UnderWay, ...]  # runs that were killed or failed half-way
    lock: tuple[Holder, ...] | None  # who holds it, as far as can be seen; None: nobody
    refused: tuple[Refused, ...]  # the newest first
    kept: tuple[str, ...]  # runs of the newest date that `rollback` can put back
    kept_before: dict[str, tuple[str, ...]]  # the same of dates before it, and of those where nothing is live
    withdrawn: tuple[Withdrawal, ...]  # runs that were taken back and are not live; the newest first
    last_night: Report | None

    def lines(self) -> list[str]:
        """For a person."""
        lines = ["nothing is published"]
        if self.newest is not None:
            told = (
                f", {self.users:,} users, {self.rows:,} rows, begun {self.begun_at}" if self.users is not None else ""
            )
            lines = [f"live      run_date={self.newest}, run {self.run_id}{told}"]
            lines += [f"WARNING   {self.unread}"] if self.unread else []
            lines += [f"dates     {len(self.dates)}, {self.dates[0]} .. {self.dates[-1]}"]
        lines += [f"at work   {run.line()}, last change {run.changed_at}" for run in self.at_work]
        lines += self.locked()
        lines += [f"stopped   {run.line()}; the same command goes on from there" for run in self.stopped]
        last = self.last_night and self.last_night.run_id  # of which the end tells
        lines += [f"refused   {run.line(told=run.run_id == last)}" for run in self.refused if not run.mended]
        mended = sum(run.mended for run in self.refused)
        lines += [f"refused   {mended} more, of dates that were published later"] if mended else []
        kept = ({} if self.newest is None else {self.newest: self.kept}) | self.kept_before
        lines += [f"kept      run {run} of {day}, for `rollback --to`" for day, runs in kept.items() for run in runs]
        lines += [
            f"withdrawn run {one.run_id} of run_date={one.run_date}"
            + (f", {one.at}" if one.at else "")
            + (f": {one.reason}" if one.reason else "")
            for one in self.withdrawn
        ]
        if self.last_night is not None:
            night = self.last_night
            short = f"{night.outcome} run_date={night.run_date}, begun {night.started_at}, exit code {night.exit_code}"
            lines += [f"last      {night.line() if night.run_id else short}"]
            lines += [f"          {night.sentence}"] if night.sentence else []
            lines += [f"          rules: {night.rules}"] if night.rules else []
            gone = night.run_id in {one.run_id for one in self.withdrawn}
            lines += ["          it was taken back since"] if gone else []
        return lines

    def locked(self) -> list[str]:
        """Who holds the lock, and a warning where that looks like nobody who works."""
        if self.lock is None:
            return []
        who = " and ".join(one.told() for one in self.lock) or "a process that cannot be seen from here"
        lines = [f"locked    by {who}"]
        quiet = [datetime.now(UTC) - datetime.fromisoformat(run.changed_at) for run in self.at_work]
        if any(one.stopped for one in self.lock):
            lines += ["WARNING   nothing goes on until it is continued (kill -CONT) or ended; then the lock is free"]
        elif quiet and min(quiet) > QUIET:
            lines += [f"WARNING   nothing was written for {lasting(min(quiet).total_seconds())}; does it still work?"]
        return lines


def moment(nanoseconds: int) -> datetime:
    """A file's time, to the second."""
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC)


def status(place: Destination) -> Status:
    """Look. Raises MissingInputError where nothing was ever published or tried."""
    recs, report = place.recs, report_in(place.report())
    if not recs.control.is_dir() and report is None:
        refuse_unused(recs)
    dates = recs.dates()
    newest = dates[-1] if dates else None
    run_id = None if newest is None else recs.run_id(newest)
    manifest, unread = told(place, newest, run_id)
    others = {*dates[-MOST_DAYS:-1], *(one.run_date for one in place.withdrawn())} - {newest}
    days = sorted(others, reverse=True)[:MOST_DAYS]
    begun, lock = sorted(recs.control.glob("work/*"), key=changed), holders(recs.control / "lock")
    cut = len(begun) - 1 if lock is not None and begun else len(begun)
    return Status(
        newest=newest, run_id=run_id, dates=tuple(dates),
        users=manifest and sum(manifest.users.values()), rows=manifest and manifest.rows,
        begun_at=manifest and manifest.started_at, unread=unread,
        at_work=tuple(UnderWay.at(path) for path in begun[cut:]),
        stopped=tuple(UnderWay.at(path) for path in begun[:cut]),
        lock=lock,
        refused=tuple(Refused.of(run, report, recs) for run, report in place.refused().items()),
        withdrawn=tuple(sorted(place.withdrawn(), key=lambda one: one.at, reverse=True)),
        kept=() if newest is None else tuple(place.kept(newest)),
        kept_before={day: runs for day in days if (runs := tuple(place.kept(day)))},
        last_night=report,
    )  # fmt: skip


def refuse_unused(recs: Published) -> None:
    """Raise MissingInputError where no run can be found that was ever tried: another place was meant."""
    if isinstance(recs, Bucket) and not recs.pointers():
        raise MissingInputError(f"nothing was ever published below {recs.url}; name the --out of a run")
    if isinstance(recs, Recs) and not recs.root.is_dir():
        raise absent(recs.root, "name the --out of a run")
    if isinstance(recs, Recs) and (recs.root / "recs.control").is_dir():
        raise MissingInputError(f"{recs.root} is no read root; did you mean {str(recs.root / 'recs')!r}?")


def live_since(recs: Published, run_date: str) -> str | None:
    """When the run that is live at a date began; None where none is, or its manifest cannot be read."""
    run_id = recs.run_id(run_date)
    try:
        return None if run_id is None else recs.told(run_date, run_id).started_at
    except (MissingInputError, ModelError):
        return None


def told(place: Destination, newest: str | None, run_id: str | None) -> tuple[RunManifest | None, str | None]:
    """The manifest of the newest run; or, where it is gone or damaged, why there is none."""
    if newest is None or run_id is None:
        return None, None
    try:
        return place.recs.told(newest, run_id), None
    except (MissingInputError, ModelError) as error:
        return None, str(error)
