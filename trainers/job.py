"""Train a model and leave a checkpoint."""

import logging
import time
from contextlib import nullcontext
from pathlib import Path
from typing import final

from pydantic import Field

from rec_export.checkpoint import Blueprint, write_trend, write_weights
from rec_export.config import Config
from rec_export.data.profile import Profile
from rec_export.data.read import fingerprint
from rec_export.data.source import Source
from rec_export.device import training_threads
from rec_export.errors import OutputExistsError, UsageError
from rec_export.files import files_below, new_directory, refuse_busy, refuse_existing, sha256
from rec_export.machine import give_back, usual_torch
from rec_export.models import spec_of
from rec_export.progress import in_parts, passed
from rec_export.record import Record
from rec_export.remark import EVERYTHING, NEW, remark
from rec_export.towers import ModelSpec
from rec_export.world import CONTEXT
from trainers.fit import Fitted, Trainer
from trainers.journal import kept, lock_of
from trainers.loop import Run, sizes_of
from trainers.parallel import ALONE, Group
from trainers.plan import Plan
from trainers.ready import read_source, trainer_of
from trainers.tracking import Tracker, settings_of, tracked

log = logging.getLogger("rec_export")


@final
class TrainJob(Record):
    """Everything a training run depends on."""

    config: Config
    out: Path
    resume: bool = False


@final
class Outcome(Record):
    """metrics.json: how training went."""

    best_epoch: int
    held_out: dict[
        str, dict[str, float]
    ]  # metrics of "model" and its baselines on the validation rows, which chose the epoch
    returning: dict[str, dict[str, float]] = Field(default_factory=dict)  # the same of lists that may hold what was
    # met, which the term for habits was fitted to; beside it the model "without" it
    plan: Plan
    users: int
    items: int
    rows: int
    parameters: int
    seconds: float

    def remarks(self, model: str) -> tuple[str, ...]:
        """Lines for a person where the model, called so, does no better than its baselines."""
        metric, cut_short = self.plan.metric, bool(self.held_out) and self.best_epoch == self.plan.epochs
        kinds = ((self.held_out, NEW if self.returning else ""), (self.returning, EVERYTHING))
        lines = (
            remark(model, metric, {name: one[metric] for name, one in held_out.items()}, "validation",
                   cut_short=cut_short, what=what)
            for held_out, what in kinds
        )  # fmt: skip
        return tuple(line for line in lines if line is not None)


@usual_torch()
def run(job: TrainJob, source: Source | None = None, group: Group = ALONE) -> Outcome:
    """Train and write job.out, which is done by the first process of a group; MLflow is told, if asked for.

    `source` is what job.config.data says, if it was read already. What job.resume finds done already is left as it is.
    """
    done = group.broadcast(finished(job) if group.first else None) if job.resume else None
    if done is not None:
        return done
    if group.first:
        refuse_existing(job.out)
        refuse_busy(lock_of(job.out))
    with tracked(job.config.tracking if group.first else None, job.out.name, "train") as tracker:
        return learn(job, source, group, tracker)


def finished(job: TrainJob) -> Outcome | None:
    """How the training that is to be resumed went, where it has ended; None where it has not.

    Raises OutputExistsError where another one lies there.
    """
    if not all((job.out / name).is_file() for name in ("config.yaml", "spec.json", "metrics.json")):
        return None
    files = {name: fingerprint(path) for name, path in job.config.data.paths().items()}
    remedy = "name a new directory or remove it first"
    if not learns_alike(Config.load(job.out / "config.yaml"), job.config):
        raise OutputExistsError(f"{job.out} was trained with another configuration; {remedy}")
    if Blueprint.read(job.out / "spec.json").inputs != files:
        raise OutputExistsError(f"{job.out} was trained on other files; {remedy}")
    log.info("%s is trained already, with this configuration and on these files", job.out)
    return Outcome.read(job.out / "metrics.json")


def learns_alike(one: Config, other: Config) -> bool:
    """Whether two configurations make the same checkpoint."""
    sections = {"data", "model", "training", "score"}
    return one.model_dump(mode="json", include=sections) == other.model_dump(mode="json", include=sections)


def learn(job: TrainJob, source: Source | None, group: Group, tracker: Tracker) -> Outcome:
    """Train, and tell how it goes."""
    started = time.monotonic()
    config = job.config
    spec = spec_of(config.model, "the configuration")
    if trainer_of(spec) is not Run and group.size > 1:
        raise UsageError(f"the model {config.model['name']!r} learns in one process; train it without torchrun")
    if group.size > 1 and config.training.shard and config.training.compile:
        raise UsageError("training.shard asks other processes in the middle of a tower; leave training.compile out")
    group = group.on(config.training.device)
    source = source or read_source(config, spec)
    told = config.model_dump(mode="json", exclude={"tracking", "nightly", "rules"})
    facts = {"config": told, "inputs": source.hashes}
    if facts != group.broadcast(facts):
        raise UsageError(f"process {group.rank} has another configuration or other inputs than the first one")
    with kept(job.out, facts, job.resume) if group.first else nullcontext() as journal, training_threads():
        tracker.parameters(settings_of(config) | {"inputs": source.hashes})
        profile = Profile.measured(source) if group.first else None  # before there are tables beside what it counts
        give_back()
        fitted = Trainer(config, spec, group, journal, tracker).fit(source)
        outcome = outcome_of(fitted, round(time.monotonic() - started, 1))
        if profile is not None:
            with in_parts("writing the checkpoint", 4):
                write(job, spec, fitted, outcome, source.hashes, profile)
    tell(tracker, job, outcome)
    return outcome


def tell(tracker: Tracker, job: TrainJob, outcome: Outcome) -> None:
    """Tell MLflow what came out."""
    figures = outcome.model_dump(include={"best_epoch", "users", "items", "rows", "parameters", "seconds"})
    for lister, metrics in outcome.held_out.items():
        figures |= {f"validation/{lister}/{metric}": value for metric, value in metrics.items()}
    tracker.metrics(figures)
    tracker.checkpoint(job.out)


def outcome_of(fitted: Fitted, seconds: float) -> Outcome:
    """How training went."""
    return Outcome(
        best_epoch=fitted.best_epoch,
        held_out=fitted.held_out,
        returning=fitted.habits.held_out,
        plan=fitted.plan,
        users=fitted.dataset.catalogue.users.trained,
        items=fitted.dataset.catalogue.items.trained,
        rows=fitted.dataset.rows,
        parameters=sum(w.numel() for part in fitted.towers for w in part.parameters()),
        seconds=seconds,
    )


def write(
    job: TrainJob,
    spec: ModelSpec,
    fitted: Fitted,
    outcome: Outcome,
    inputs: dict[str, str],
    profile: Profile,
) -> None:
    """Write the checkpoint, whole or not at all."""
    config, chosen = job.config, fitted.plan
    with new_directory(job.out) as out:
        fitted.dataset.catalogue.write(out)
        passed()
        write_trend(fitted.dataset.timeline.as_of(None, chosen.clock).trend_for_lists(), out)
        passed()
        tables = {path.relative_to(out).as_posix(): sha256(path) for path in files_below(out)}
        passed()
        blueprint = Blueprint(
            model={"name": config.model["name"], **spec.model_dump()},
            members=chosen.seeds,
            timeless=fitted.timeless,
            away=fitted.away,
            shallow=fitted.shallow,
            habit=fitted.habits.habit,
            sizes=sizes_of(fitted.dataset, chosen, CONTEXT),
            data=config.data,
            clock=chosen.clock,
            loss=chosen.loss,
            target=chosen.target,
            recent=chosen.recent,
            score=config.score,
            inputs=inputs,
            weights=write_weights(fitted.towers, out / "weights.safetensors"),
            tables=tables,
        )
        blueprint.write(out / "spec.json")
        outcome.write(out / "metrics.json")
        profile.write(out / "profile.json")
        (out / "config.yaml").write_text(config.dump(), encoding="utf-8")
        (out / "history.jsonl").write_text("".join(e.model_dump_json() + "\n" for e in fitted.epochs), encoding="utf-8")
