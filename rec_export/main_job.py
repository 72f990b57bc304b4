"""The whole main job without a configuration: look, train, export with proof, score everybody, show some lists.

This is the only file of the core that knows the other folders. Each step leaves its directory in `out`, and a step
whose directory is there already is not done again.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, final

import pyarrow as pa

from rec_export.config import Config
from rec_export.data.columns import date
from rec_export.data.config import DataConfig
from rec_export.data.guess import ITEM, USER, guess_attributes, guess_log
from rec_export.data.source import Source
from rec_export.device import device_of
from rec_export.errors import OutputExistsError
from rec_export.files import new_directory, sha256
from rec_export.lists import show_lists
from rec_export.models import spec_of
from rec_export.record import Record
from rec_export.towers import ModelSpec

Say = Callable[[str], None]
MARK = "job.json"


@final
class MainJob(Record):
    """What the user gave; what is None is guessed."""

    log: Path
    items: Path | None
    users: Path | None
    out: Path
    user: str | None
    item: str | None
    time: str | None
    value: str | None
    positive: float | None
    k: int
    model: str
    device: str

    def inputs(self) -> dict[str, Path]:
        """The files that are read, by what they are."""
        named = {"interactions": self.log, "items": self.items, "users": self.users}
        return {name: path.resolve() for name, path in named.items() if path is not None}


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


def run(job: MainJob, say: Say) -> None:
    """Do what is not done yet. Raises OutputExistsError when `out` holds something else.

    What can be refused is refused before anything is written.
    """
    config = guessed(job)
    check_trainer(spec_of(config.model, "--model"))
    device_of(job.device)
    hashes = {name: digest(path) for name, path in job.inputs().items()}
    facts: dict[str, object] = {"config": config.dump(), "inputs": hashes}
    steps = Steps.below(job.out)
    begun = is_begun(job.out, facts)
    source = Source.read(config.data)
    for line in report(config.data, source, job):
        say(line)
    if not begun:
        begin(job.out, facts, config)
    train(config, source, steps, say)
    export(steps, say)
    score(job, config, source, steps, say)


def check_trainer(spec: ModelSpec) -> None:
    """Raise EnvironmentMissingError where the model needs a package that is not installed."""
    from trainers.job import trainer_of

    trainer_of(spec)


def guessed(job: MainJob) -> Config:
    """The configuration that the user could have written."""
    columns = {"user": job.user, "item": job.item, "time": job.time, "value": job.value}
    log = guess_log(job.log, columns, job.positive)
    items = job.items and guess_attributes(job.items, log.item, ITEM)
    users = job.users and guess_attributes(job.users, log.user, USER)
    data = DataConfig(interactions=log, items=items or None, users=users or None).relative_to(Path.cwd())
    fields = {"data": data, "model": {"name": job.model}, "training": {"device": job.device}, "score": {"k": job.k}}
    return Config.of(fields, "the guess")


def digest(path: Path) -> str:
    """The sha256 of a file, or of the names and hashes of a folder's files."""
    if path.is_file():
        return sha256(path)
    facts = [[p.name, sha256(p)] for p in sorted(path.rglob("*")) if p.is_file()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def is_begun(out: Path, facts: dict[str, object]) -> bool:
    """Whether the same job was begun before in the output directory. Raises OutputExistsError when it holds another."""
    mark = out / MARK
    if mark.exists() and mark.read_text(encoding="utf-8") == json.dumps(facts, indent=2):
        return True
    if out.exists():
        raise OutputExistsError(f"{out} already exists and is not this job; name a new directory or remove it first")
    return False


def begin(out: Path, facts: dict[str, object], config: Config) -> None:
    """Make the output directory, with the mark of the job in it."""
    with new_directory(out) as folder:
        (folder / "config.yaml").write_text(config.dump(), encoding="utf-8")
        (folder / MARK).write_text(json.dumps(facts, indent=2), encoding="utf-8")


def report(data: DataConfig, source: Source, job: MainJob) -> list[str]:
    """What was read and how it was understood, before anything is done with it."""
    log, events = data.interactions, source.events
    users, items = len(pa.compute.unique(events.user_id)), len(pa.compute.unique(events.item_id))
    lines = [f"Read      {len(events.positive):,} events, {users:,} users, {items:,} items from {job.log}"]
    columns = [f"user={log.user}", f"item={log.item}"]
    if log.time and events.time is not None:
        columns.append(f"time={log.time} ({date(int(events.time.min()))} .. {date(int(events.time.max()))})")
    if log.value and events.value is not None:
        liked = "" if log.positive is None else f", liked from {log.positive:g}"
        columns.append(f"value={log.value} ({events.value.min():g} .. {events.value.max():g}{liked})")
    lines.append(f"Columns   {'  '.join(columns)}      change with --user --item --time --value --positive")
    for name, table in (("Items", data.items), ("Users", data.users)):
        if table is not None:
            given = source.items if name == "Items" else source.users
            rows = 0 if given is None else given.num_rows
            kinds = [
                f"{kind}={','.join(getattr(table, kind))}"
                for kind in ("dense", "category", "tags", "text")
                if getattr(table, kind)
            ]
            lines.append(f"{name:<10}{rows:,} rows  id={table.id}  {'  '.join(kinds)}")
    return lines + notes(source)


def notes(source: Source) -> list[str]:
    """What a careful person would want to know of the log."""
    events = source.events
    counts = pa.compute.value_counts(events.user_id).field("counts")
    single = pa.compute.sum(pa.compute.equal(counts, 1)).as_py()
    pairs = pa.table({"user": events.user_id, "item": events.item_id}).group_by(["user", "item"]).aggregate([]).num_rows
    lines = []
    if events.dropped:
        lines.append(f"Note      {events.dropped:,} rows without a user or an item are left out")
    if not events.positive.all():
        lines.append(f"Note      {int((~events.positive).sum()):,} events are seen but not liked")
    if len(events.positive) > pairs:
        lines.append(
            f"Note      {len(events.positive) - pairs:,} events repeat a user and an item; all count for trends"
        )
    if single:
        lines.append(f"Note      {single:,} users have a single event; they are kept and scored like the rest")
    return lines


def train(config: Config, source: Source, steps: Steps, say: Say) -> None:
    """Train, and say how the model did beside popularity."""
    from trainers.job import Outcome, TrainJob
    from trainers.job import run as train_model

    if not steps.checkpoint.exists():
        train_model(TrainJob(config=config, out=steps.checkpoint), source)
    outcome = Outcome.read(steps.checkpoint / "metrics.json")
    how = "by time" if outcome.plan.clock.timed else "without time"
    say(
        f"Train     {config.model['name']}, {outcome.parameters:,} parameters, {how},"
        f" {outcome.best_epoch} epochs, {outcome.seconds:.0f} s"
    )
    if not outcome.held_out:
        return
    mine, popular = outcome.held_out["model"], outcome.held_out["popular"]
    figures = ", ".join(f"{m} {mine[m]:.4f} (popularity {popular[m]:.4f})" for m in ("recall@10", "ndcg@10", "hr@10"))
    say(f"Check     held-out tenth, which also chose the epochs: {figures}")
    if mine["ndcg@10"] <= popular["ndcg@10"]:
        say("WARNING   the model is no better than popularity on the held-out rows; look at the data before you use it")
    say("Refit     on all events")


def export(steps: Steps, say: Say) -> None:
    """Export, and show the proof."""
    from exporters.job import REPORT, ExportJob
    from exporters.job import run as export_bundle
    from exporters.report import Report

    if not steps.bundle.exists():
        export_bundle(ExportJob(checkpoint=steps.checkpoint, out=steps.bundle, formats=("torchscript", "onnx")))
    for number, line in enumerate(Report.read(steps.bundle / REPORT).lines()):
        say(f"{'Export' if number == 0 else '':<10}{line}")


def score(job: MainJob, config: Config, source: Source, steps: Steps, say: Say) -> None:
    """Score everybody as of the end of the log, and show two lists."""
    from batch_jobs.job import ScoreJob
    from batch_jobs.score import run as publish

    day = datetime.now(UTC).date()
    if source.events.time is not None:
        day = datetime.fromtimestamp(int(source.events.time.max()) / 1e6, UTC).date()
    manifest = publish(ScoreJob(
        bundle=steps.bundle, interactions=job.log, items=job.items, users=None, out=steps.recs, run_date=day,
        k=job.k, seen="exclude", device=job.device, runtime="torchscript",
    ))  # fmt: skip
    everybody = sum(manifest.users.values())
    kinds = ", ".join(f"{count:,} {source}" for source, count in manifest.users.items() if count)
    say(
        f"Top-{job.k:<5} {everybody:,} of {everybody:,} users ({kinds}), seen items left out,"
        f" {manifest.rows:,} rows, {manifest.short_lists:,} short lists"
    )
    size = sum(part.bytes for part in manifest.files) / 1e6
    live = steps.recs / f"run_date={manifest.run_date}"
    say(f"Wrote     {live} ({size:.1f} MB)  {steps.checkpoint}  {steps.bundle}  {steps.config}")
    for line in show_lists(live, source, config.data):
        say(line)
    say(
        f"Next      rec-export score {steps.bundle} --interactions {job.log} --out {steps.recs} --k {job.k}"
        "   every night, from cron"
    )
    say(f"          rec-export train {steps.config} --out checkpoint-2   after a change to the configuration")
