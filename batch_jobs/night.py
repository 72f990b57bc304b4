"""The nightly job: score, ask the gates, publish, clear up; and a report of it, whatever happened."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from signal import SIGINT
from typing import NamedTuple, final

from pydantic import BaseModel

from batch_jobs.clock import Clock
from batch_jobs.delta import mirror, refuse_unfit
from batch_jobs.destination import Destination
from batch_jobs.destinations import destination_at
from batch_jobs.executors.shards import Share, make_share
from batch_jobs.gates import Gatekeeper
from batch_jobs.heartbeat import Heart
from batch_jobs.job import ScoreJob
from batch_jobs.ping import Ping
from batch_jobs.prometheus import write_metrics
from batch_jobs.publish import warned
from batch_jobs.report import Report, report_in, write_report
from batch_jobs.scoring import Scored
from batch_jobs.scoring import run as score
from rec_export.bundle import manifest_of
from rec_export.choices import Executor
from rec_export.config import Config, Nightly
from rec_export.errors import (
    BusyError,
    GateError,
    RecExportError,
    SinkError,
    UsageError,
    nobody_named,
)
from rec_export.files import refuse_busy
from rec_export.logs import bound, is_json
from rec_export.progress import watched
from rec_export.record import Record
from rec_export.recs import Recs
from rec_export.redact import redacted
from rec_export.run_manifest import RunManifest

log = logging.getLogger("rec_export")
UNASKED = {"path", "text_dim", "bad_rows"}  # keys of `data` that scoring does not read, or as tonight says


@final
class NightlyJob(Record):
    """A configuration, the night, and what a person answers for."""

    config: Config
    run_date: date
    force: tuple[str, ...] = ()
    reason: str | None = None
    command: str | None = None
    expect_model_sha256: str | None = None
    replace: bool = False
    executor: Executor | None = None
    approximate: bool | None = None

    @property
    def section(self) -> Nightly:
        """The section `nightly`."""
        if self.config.nightly is None:
            raise UsageError("the configuration has no section 'nightly'; it needs at least nightly.bundle and .out")
        return self.config.nightly

    def score_job(self) -> ScoreJob:
        """What is scored: the files of the section `data`, as they are tonight."""
        data, section = self.config.data, self.section
        if section.users == "listed" and data.users is None:
            raise UsageError(
                "nightly.users is listed, but data.users names no table that lists them; name one, or say all"
            )
        asked = self.config.score.model_dump(exclude_unset=True)
        given = {"executor": self.executor, "approximate": self.approximate}
        asked |= {name: value for name, value in given.items() if value is not None}
        return ScoreJob(
            bundle=section.bundle, interactions=data.interactions.path, items=data.items and data.items.path,
            users=data.users and data.users.path, whom=section.users, run_date=self.run_date,
            out=section.out, staging=section.staging, rules=self.config.rules, replace=self.replace,
            bad_rows=data.interactions.bad_rows,
            expect_model_sha256=self.expect_model_sha256 or section.expect_model_sha256,
            allow_world_writable=section.allow_world_writable,
            **asked,
        )  # fmt: skip

    def judge(self) -> Gatekeeper:
        """The gates, with the command that was given."""
        gates = self.section.gates
        if self.command is not None:
            gates = gates.model_copy(update={"command": self.command})
        return Gatekeeper(gates, self.force, self.reason)


def run(job: NightlyJob) -> Report:
    """Publish tonight's lists, or leave what is live and say why. The report lies in the control folder.

    Raises what `score` raises, and SinkError where the lists are live but the Delta table is not in line with them.
    """
    with bound(run_date=job.run_date.isoformat()), nobody_named():
        return watched_over(job)


def share(job: NightlyJob, index: int, count: int) -> Share:
    """Make one of several shares of tonight's parts. No report: the night ends when somebody publishes."""
    with bound(run_date=job.run_date.isoformat()), nobody_named():
        refuse_slips(job)
        return make_share(job.score_job(), index, count)


def watched_over(job: NightlyJob) -> Report:
    """The night, of which others are told: who reads the report, Prometheus, the watchdog, the dead man's switch."""
    judge, place, clock = job.judge(), destination_at(job.section.out, job.section.staging), Clock()
    control = place.recs.control
    refuse_busy(control / "lock")  # of a night that is none nobody needs to know
    watchers = Watchers.of(job)
    with reported(place, job, watchers), watched(watchers.heart.beat):
        refuse_slips(job)
        done = score(job.score_job(), judge, job.section.retention)
        if not done.fresh:
            warn_of_gates_not_asked(judge, done.manifest)
        behind = sink(job)
    report = told(done, clock, behind)
    with warned("the report could not be written"):
        if done.fresh or behind is not None or not said_well(place):
            leave_report(place, report)
    watchers.tell(report)
    if behind is not None:
        raise behind
    if is_json():
        fields = report.model_dump(exclude={"gates", "run_date"}, mode="json")
        log.info("%s", report.line(), extra=fields)
    return report


def sink(job: NightlyJob) -> SinkError | None:
    """Bring the Delta table in line, where one was asked for; why it could not be. The lists are live all the same."""
    if job.section.delta is None:
        return None
    try:
        mirror(folder_of(job), job.section.delta, anywhere=job.section.allow_world_writable)
    except RecExportError as error:
        why, code = str(error), error.exit_code
    except (SystemExit, KeyboardInterrupt) as error:
        why, code = f"{ended_by(error)}; the same command does the rest", signal_code(error)
    else:
        return None
    return SinkError(f"run_date={job.run_date} is live, but its Delta table is not in line: {why}", code)


def warn_of_gates_not_asked(judge: Gatekeeper, run: RunManifest) -> None:
    """A run that is live already was judged when it was published: whoever asks for something else now is told."""
    asked = {one.reason for one in run.gates if one.gate == "command"}
    command = judge.gates.command
    if command is not None and redacted(command) not in asked:
        log.warning(
            "the run %s was published before, and %r was not asked about it; if it should be taken back, use"
            " `rec-export rollback`", run.run_id, command,
        )  # fmt: skip
    forced = [name for name in judge.forced if name not in {one.gate for one in run.gates if one.verdict == "forced"}]
    if forced:
        log.warning("the run %s was published before, so --force-gate %s is not recorded", run.run_id, forced[0])


def said_well(place: Destination) -> bool:
    """Whether the last report is of a night that ended well; not so where none can be read."""
    try:
        last = report_in(place.report())
    except RecExportError:
        return False
    return last is not None and last.exit_code == 0


class Watchers(NamedTuple):
    """Who is told how a night goes, where that was asked for. None of them can make it fail."""

    metrics: Path | None
    heart: Heart
    ping: Ping

    @classmethod
    def of(cls, job: NightlyJob) -> "Watchers":
        """They learn that it begins."""
        section = job.section
        return cls(section.metrics, Heart(section.heartbeat, job.run_date.isoformat()), Ping(section.ping))

    def tell(self, report: Report) -> None:
        """How it ended."""
        if self.metrics is not None:
            with warned("the metrics could not be written"):
                write_metrics(report, self.metrics)
        self.ended(report.exit_code, report.sentence)

    def ended(self, exit_code: int, sentence: str | None) -> None:
        """That it ended, and why, where it failed."""
        self.heart.beat("ended", exit_code=exit_code)
        self.ping.ended(None if exit_code == 0 else sentence)


@contextmanager
def reported(place: Destination, job: NightlyJob, watchers: Watchers) -> Iterator[None]:
    """Leave a report when the block fails. Who finds another one at work leaves that one's report alone."""
    clock = Clock()
    try:
        yield
    except BusyError as error:  # it was not there yet when we looked
        watchers.ended(error.exit_code, redacted(str(error)))
        raise
    except BaseException as error:
        report = failed(error, job, clock)
        with warned("the report could not be written"):
            leave_report(place, report, error)
        watchers.tell(report)
        raise


def leave_report(place: Destination, report: Report, error: BaseException | None = None) -> None:
    """Beside the lists, and with the evidence where the gates refused."""
    control = place.recs.control
    control.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_report(report, control)
    evidence = Path(error.evidence) if isinstance(error, GateError) else None
    if evidence is not None:
        write_report(report, evidence)
    place.keep_report(evidence)


def told(done: Scored, clock: Clock, behind: SinkError | None) -> Report:
    """The report of a night whose lists are live; `behind` is why a table is not in line with them."""
    code, sentence = (0, "") if behind is None else (behind.exit_code, redacted(str(behind)))
    return Report.of_run(
        done.manifest, "published" if done.fresh else "kept", clock.seconds(), resumed=done.resumed, exit_code=code,
        sentence=sentence,
    )  # fmt: skip


def failed(error: BaseException, job: NightlyJob, clock: Clock) -> Report:
    """The report of a night that published nothing."""
    if isinstance(error, GateError):
        manifest = RunManifest.read(Path(error.evidence) / "manifest.json")
        return Report.of_run(
            manifest, "refused", clock.seconds(), exit_code=error.exit_code, sentence=redacted(str(error))
        )
    code, sentence = 70, f"{type(error).__name__}: {error}"
    if isinstance(error, RecExportError):
        code, sentence = error.exit_code, str(error)
    elif isinstance(error, SystemExit | KeyboardInterrupt):
        code = signal_code(error)
        sentence = f"{ended_by(error)}; the same command goes on from what is finished"
    return Report(
        outcome="failed",
        exit_code=code,
        sentence=redacted(sentence),
        run_date=job.run_date.isoformat(),
        started_at=clock.started.isoformat(timespec="seconds"),
        seconds=clock.seconds(),
    )


def signal_code(error: BaseException) -> int:
    """The exit code of a process that a signal ended: 128 and its number."""
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 128 + SIGINT


def ended_by(error: BaseException) -> str:
    """By which signal a process was ended."""
    return f"ended by signal {signal_code(error) - 128}"


def refuse_slips(job: NightlyJob) -> None:
    """Raise what can be known before the lists: other columns than the training's, no place for a Delta table."""
    refuse_other_columns(job)
    if job.section.delta is not None:
        refuse_unfit(folder_of(job), job.section.delta, anywhere=job.section.allow_world_writable)


def folder_of(job: NightlyJob) -> Recs:
    """The read root of a night that also keeps a Delta table. Raises UsageError where it is none."""
    out = job.section.out
    if not isinstance(out, Path):
        raise UsageError(f"nightly.delta follows a read root in a folder, but nightly.out is {out}; leave one out")
    return Recs.at(out)


def refuse_other_columns(job: NightlyJob) -> None:
    """Raise UsageError where the section `data` reads the log or a table otherwise than the training did."""
    trained = manifest_of(job.section.bundle).blueprint.data
    for name in ("interactions", "items", "users"):
        mine, theirs = keys(getattr(job.config.data, name)), keys(getattr(trained, name))
        other = [key for key in mine if theirs and mine[key] != theirs[key]]
        if other:
            raise UsageError(
                f"data.{name}.{other[0]} is {mine[other[0]]!r}, but the bundle {job.section.bundle} was trained with"
                f" {theirs[other[0]]!r}; write it so, or train and export again"
            )


def keys(section: BaseModel | None) -> dict[str, object]:
    """The keys that scoring reads."""
    return {} if section is None else section.model_dump(exclude=UNASKED)
