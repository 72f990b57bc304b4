"""The whole main job without a configuration: look, train, export with proof, score everybody, show some lists.

This is the only file of the core that knows the other folders. Each step leaves its directory in `out`, and a step
whose directory is there already is not done again.
"""

import json
import shlex
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, final

from rec_export.choices import SeenRule
from rec_export.config import Config
from rec_export.data.guess import Given, guess_data
from rec_export.data.source import Source
from rec_export.data.times import DAY
from rec_export.device import device_of
from rec_export.errors import OutputExistsError
from rec_export.files import locked, new_directory, refuse_busy, storage_errors
from rec_export.first_look import first_look, past
from rec_export.lists import show_lists
from rec_export.models import spec_of
from rec_export.progress import starting
from rec_export.record import Record
from rec_export.thresholds import Gates
from rec_export.towers import ModelSpec
from rec_export.words import counted, listed

Say = Callable[[str], None]
MARK = "job.json"
LOCK = ".lock"  # who holds it works on the steps
FIGURES = "recall@10", "ndcg@10", "hr@10"
HOUR = DAY // 24  # microseconds


@final
class MainJob(Record):
    """What is known of the files, and what shall become of them."""

    given: Given
    out: Path
    k: int | None = None  # None: as the configuration has it
    seen: SeenRule = "exclude"
    model: str = "hybrid"
    device: str = "auto"
    program: str = "rec-export"  # as the user can call it


class Steps(NamedTuple):
    """Where each step leaves its result."""

    config: Path
    checkpoint: Path
    bundle: Path
    recs: Path

    @classmethod
    def below(cls, out: Path) -> "Steps":
        """The places in the output directory."""
        return cls(out / "config.yaml", out / "checkpoint", out / "bundle", out / "recs")

    def kept(self) -> str:
        """The steps that are done."""
        return ", ".join(str(step) for step in self if step.exists())


def run(job: MainJob, say: Say) -> None:
    """Do what is not done yet. Raises OutputExistsError when `out` holds something else.

    What can be refused is refused before anything is written.
    """
    if job.out.exists() and not (job.out / MARK).is_file():
        raise OutputExistsError(f"{job.out} already exists; name a new directory or remove it first")
    config = guessed(job)
    check_trainer(spec_of(config.model, "--model"))
    device_of(job.device)
    steps = Steps.below(job.out)
    source = Source.read(config.data)
    facts: dict[str, object] = {"config": config.dump(), "inputs": source.hashes}
    begun = is_begun(job.out, facts)
    for line in first_look(job.given.log, config.data, source):
        say(line)
    with ExitStack() as held:
        if begun:
            with storage_errors(job.out):
                held.enter_context(locked(job.out / LOCK))
        else:
            begin(job.out, facts, config, held)
        held.callback((job.out / LOCK).unlink, missing_ok=True)
        try:
            train(config, source, steps, say)
            export(job, steps, say)
            score(job, config, source, steps, say)
        except KeyboardInterrupt:
            say(f"Kept      {steps.kept()}; the same command goes on from there")
            raise


def check_trainer(spec: ModelSpec) -> None:
    """Raise EnvironmentMissingError where the model needs a package that is not installed."""
    from trainers.ready import trainer_of

    trainer_of(spec)


def guessed(job: MainJob) -> Config:
    """The configuration that the user could have written."""
    data = guess_data(job.given)
    score = {"seen": job.seen, "device": job.device} | ({} if job.k is None else {"k": job.k})
    fields = {"data": data, "model": {"name": job.model}, "training": {"device": job.device}, "score": score}
    fields["nightly"] = {"bundle": "bundle", "out": "recs"}  # beside the configuration
    return Config.of(fields, "the guess")


def is_begun(out: Path, facts: dict[str, object]) -> bool:
    """Whether the same job was begun before in the output directory. Raises OutputExistsError when it holds another."""
    if not out.exists():
        return False
    refuse_busy(out / LOCK)
    told = (out / MARK).read_text(encoding="utf-8")
    if told == json.dumps(facts, indent=2):
        return True
    if holds_no_work(out, told) and not out.is_symlink():
        shutil.rmtree(out)  # another job was begun, but no step of it was done
        return False
    raise OutputExistsError(
        f"{out} holds a run on other files or with other settings; name a new directory or remove it first"
    )


def holds_no_work(out: Path, told: str) -> bool:
    """Whether a job that was begun, as its mark tells, has left no step that is done and no change of a person."""
    if not {path.name for path in out.iterdir()} <= {MARK, LOCK, "config.yaml", ".checkpoint.training"}:
        return False
    try:
        return (out / "config.yaml").read_text(encoding="utf-8") == json.loads(told)["config"]
    except (OSError, ValueError, LookupError):
        return False


def begin(out: Path, facts: dict[str, object], config: Config, held: ExitStack) -> None:
    """Make the output directory, with the mark of the job in it, and its lock, which is held."""
    with new_directory(out) as folder:
        held.enter_context(locked(folder / LOCK))  # before anybody sees it
        (folder / "config.yaml").write_text(config.dump(), encoding="utf-8")
        (folder / MARK).write_text(json.dumps(facts, indent=2), encoding="utf-8")


def train(config: Config, source: Source, steps: Steps, say: Say) -> None:
    """Train, and say how the model did beside popularity."""
    from trainers.job import Outcome, TrainJob
    from trainers.job import run as train_model

    if steps.checkpoint.exists():
        say(f"Kept      {steps.kept()}, done before")
    else:
        train_model(TrainJob(config=config, out=steps.checkpoint, resume=True), source)
    outcome = Outcome.read(steps.checkpoint / "metrics.json")
    how = "by time"
    if not outcome.plan.clock.timed:
        timed = source.events.time is not None
        reason = "recent popularity predicts no better than that of all time" if timed else "the log has none"
        how = f"without time ({reason})"
    say(
        f"Train     {config.model['name']}, {outcome.parameters:,} parameters, {how},"
        f" {counted(outcome.best_epoch, 'epoch')}, {outcome.seconds:.0f} s"
    )
    if outcome.returning:
        mine, habit = outcome.returning["model"], outcome.returning["habit"]
        figures = ", ".join(f"{m} {mine[m]:.4f} (habits alone {habit[m]:.4f})" for m in FIGURES)
        say(f"Check     everything in a held-out tenth, to which habits were fitted: {figures}")
    if outcome.held_out:
        mine, popular = outcome.held_out["model"], outcome.held_out["popular"]
        figures = ", ".join(f"{m} {mine[m]:.4f} (popularity {popular[m]:.4f})" for m in FIGURES)
        new = "what is new in it" if outcome.returning else "held-out tenth, of known users and items"
        say(f"Check     {new}, which also chose the epochs: {figures}")
    elif outcome.returning:
        say("Check     nobody likes anything new in it, so nothing chose the epochs")
    else:
        say("Check     nothing could be held out, as nobody likes anything new in the newest tenth; all is learned")
        return
    for remark in outcome.remarks(config.model["name"]):
        say(f"WARNING   {remark}")
    say("Refit     on all events")


def export(job: MainJob, steps: Steps, say: Say) -> None:
    """Export, and show the proof; of what was exported before, how to see it again."""
    with starting(1500):
        from exporters.job import REPORT, ExportJob
        from exporters.job import run as export_bundle
        from exporters.report import Report

    if steps.bundle.exists():
        forms, again = Report.read(steps.bundle / REPORT).formats(), (job.program, "verify", str(steps.bundle))
        say(f"Export    {listed(forms)}, proved when they were made; anew: {shlex.join(again)}")
        return
    export_bundle(ExportJob(checkpoint=steps.checkpoint, out=steps.bundle, formats=("torchscript", "onnx", "pt2")))
    for number, line in enumerate(Report.read(steps.bundle / REPORT).lines()):
        say(f"{'Export' if number == 0 else '':<10}{line}")


def score(job: MainJob, config: Config, source: Source, steps: Steps, say: Say) -> None:
    """Score everybody as of the end of the log, or of what of it is not in the future, and show two lists."""
    from batch_jobs.gates import Gatekeeper, sentence
    from batch_jobs.job import ScoreJob
    from batch_jobs.scoring import run as publish

    day: date = datetime.now(UTC).date()
    newest: int | None = None
    if source.events.time is not None:
        known = past(source.events.time)  # a date in the future would be live for readers until it is past
        newest = int((known if len(known) else source.events.time).max())
        newest_day = datetime.fromtimestamp(newest / 1e6, UTC).date()
        day = min(day, newest_day) if len(known) else newest_day
    log, items = job.given.log, job.given.items
    done = publish(ScoreJob(bundle=steps.bundle, interactions=log, items=items, out=steps.recs, run_date=day))
    manifest = done.manifest
    everybody = sum(manifest.users.values())
    kinds = ", ".join(f"{count:,} {source}" for source, count in manifest.users.items() if count)
    seen = "left out" if manifest.seen == "exclude" else "may be in them"
    say(
        f"Top-{manifest.k:<5} {everybody - manifest.empty_lists:,} of {everybody:,} users ({kinds}), seen items {seen},"
        f" {manifest.rows:,} rows, {counted(manifest.short_lists, 'short list')}"
    )
    live = steps.recs / f"run_date={manifest.run_date}"
    say(
        f"{'Wrote' if done.fresh else 'Kept':<10}{live} ({size_of(manifest.bytes)})  {steps.checkpoint}"
        f"  {steps.bundle}  {steps.config}"
    )
    gates = Gates() if config.nightly is None else config.nightly.gates
    refused = sentence(tuple(Gatekeeper(gates).alone(manifest)))
    if refused:
        say(f"WARNING   `nightly` would refuse such lists: {refused}; docs/nightly.md")
    for line in show_lists(live, source, config.data):
        say(line)
    words = [job.program, "nightly", steps.config]
    old = day < datetime.now(UTC).date() - timedelta(days=1)  # a log that has ended: tonight's date would be refused
    words += ["--run-date", str(day + timedelta(days=1))] if old else []
    once = ", once its gates are answered for" if refused else ""
    if old and newest is not None and newest < end_of(day + timedelta(days=1)) - gates.newest_event_hours * HOUR:
        once += f"{' and' if once else ', once'} the log has rows of that day"
    say(f"Next      {shlex.join(map(str, words))}   every night, from cron{once}: docs/nightly.md")
    words = [job.program, "train", steps.config, "--out", "checkpoint-2"]
    say(f"          {shlex.join(map(str, words))}   after a change to the configuration")


def end_of(day: date) -> int:
    """The end of a day, UTC, in microseconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1e6) + DAY


def size_of(size: int) -> str:
    """Bytes as a person says them."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
