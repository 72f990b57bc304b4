"""The nightly job: score, ask the gates, publish, clear up; and a report of it, whatever happened."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import NamedTuple

from batch_jobs.clock import Clock
from batch_jobs.delta import mirror
from batch_jobs.destination import Destination
from batch_jobs.destinations import destination_at
from batch_jobs.executors.shards import Share, make_share
from batch_jobs.gates import Gatekeeper
from batch_jobs.heartbeat import Heart
from batch_jobs.nightly_job import NightlyJob, folder_of, refuse_slips
from batch_jobs.ping import Ping
from batch_jobs.prometheus import write_metrics
from batch_jobs.publish import warned
from batch_jobs.report import Report, report_in, write_report
from batch_jobs.scoring import Scored
from batch_jobs.scoring import run as score
from rec_export.errors import (
    BusyError,
    GateError,
    RecExportError,
    SinkError,
    nobody_named,
    short_of_memory,
)
from rec_export.files import refuse_busy
from rec_export.logs import bound, is_json
from rec_export.progress import watched
from rec_export.redact import redacted
from rec_export.run_manifest import RunManifest

log = logging.getLogger("rec_export")


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
    error = short_of_memory(error) or error
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
