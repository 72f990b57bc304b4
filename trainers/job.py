"""Train a model and leave a checkpoint: search for the number of epochs, then learn from all rows."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple, final

from rec_export.checkpoint import Blueprint, write_trend, write_weights
from rec_export.config import Config
from rec_export.data.log import Events, select
from rec_export.data.profile import Profile
from rec_export.data.source import PAIRS, Source
from rec_export.data.split import Part
from rec_export.device import training_threads
from rec_export.ensemble import ensemble
from rec_export.errors import UsageError
from rec_export.files import files_below, new_directory, refuse_existing, sha256
from rec_export.metrics import RATING_NAMES
from rec_export.models import names, spec_class, spec_of
from rec_export.progress import busy
from rec_export.record import Record
from rec_export.towers import ModelSpec, Sizes, Towers
from rec_export.world import CONTEXT
from trainers.course import Course, Epoch
from trainers.dataset import Dataset
from trainers.journal import Journal, kept
from trainers.loop import Run, sizes_of
from trainers.parallel import ALONE, Group
from trainers.plan import Plan, metric_of, plan
from trainers.rating_validation import Values
from trainers.tracking import Tracker, settings_of, tracked
from trainers.validation import Lists, Validation

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
    plan: Plan
    users: int
    items: int
    rows: int
    parameters: int
    seconds: float


class Fitted(NamedTuple):
    """A trained model and the dataset it knows."""

    towers: Towers
    dataset: Dataset
    best_epoch: int
    epochs: tuple[Epoch, ...]
    held_out: dict[str, dict[str, float]]


def run(job: TrainJob, source: Source | None = None, group: Group = ALONE) -> Outcome:
    """Train and write job.out, which is done by the first process of a group; MLflow is told, if asked for.

    `source` is what job.config.data says, if it was read already.
    """
    if group.first:
        refuse_existing(job.out)
    with tracked(job.config.tracking if group.first else None, job.out.name, "train") as tracker:
        return learned(job, source, group, tracker)


def learned(job: TrainJob, source: Source | None, group: Group, tracker: Tracker) -> Outcome:
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
    facts = {"config": config.model_dump(mode="json", exclude={"tracking"}), "inputs": source.hashes}
    if facts != group.broadcast(facts):
        raise UsageError(f"process {group.rank} has another configuration or other inputs than the first one")
    with kept(job.out, facts, job.resume) if group.first else nullcontext() as journal, training_threads():
        tracker.parameters(settings_of(config) | {"inputs": source.hashes})
        profile = Profile.measured(source) if group.first else None  # before there are tables beside what it counts
        chosen, fitted = fit(config, spec, source, group, journal, tracker)
        outcome = outcome_of(fitted, chosen, round(time.monotonic() - started, 1))
        if profile is not None:
            with busy("writing the checkpoint"):
                write(job, spec, chosen, fitted, outcome, source.hashes, profile)
    tell(tracker, job, outcome)
    return outcome


def tell(tracker: Tracker, job: TrainJob, outcome: Outcome) -> None:
    """Tell MLflow what came out."""
    figures = outcome.model_dump(include={"best_epoch", "users", "items", "rows", "parameters", "seconds"})
    for lister, metrics in outcome.held_out.items():
        figures |= {f"validation/{lister}/{metric}": value for metric, value in metrics.items()}
    tracker.metrics(figures)
    tracker.checkpoint(job.out)


def outcome_of(fitted: Fitted, chosen: Plan, seconds: float) -> Outcome:
    """How training went."""
    return Outcome(
        best_epoch=fitted.best_epoch,
        held_out=fitted.held_out,
        plan=chosen,
        users=fitted.dataset.catalogue.users.trained,
        items=fitted.dataset.catalogue.items.trained,
        rows=fitted.dataset.rows,
        parameters=sum(w.numel() for part in fitted.towers for w in part.parameters()),
        seconds=seconds,
    )


def trainer_of(spec: ModelSpec) -> Callable[[ModelSpec, Sizes, Dataset, Plan, Group], Course]:
    """What finds the weights of a model. Raises EnvironmentMissingError where its package is not installed."""
    if spec.trainer == "als":
        from trainers.als import AlsRun  # here, as it needs the optional package implicit

        return AlsRun
    if spec.trainer == "bpr":
        from trainers.bpr import BprRun  # here, as compiled kernels take a second to load

        return BprRun
    return Run


def read_source(config: Config, spec: ModelSpec) -> Source:
    """The log and the tables, split as the loss needs it. Raises UsageError where it goes with the rest not at all."""
    metric_of(config.training)
    predicts = config.training.loss == "mse"
    if predicts and not spec.predicts:
        able = ", ".join(name for name in names() if spec_class(name).predicts)
        raise UsageError(
            f"training.loss is mse, but the model {config.model['name']!r} cannot predict values: they would show in"
            f" the histories or trends that it reads, or its solver knows likings alone; take one of {able}"
        )
    if predicts and config.data.interactions.value is None:
        raise UsageError(
            "training.loss is mse, but the log has no value to predict; name its column in data.interactions.value"
        )
    return Source.read(config.data, rated=predicts)


def validation_of(dataset: Dataset, chosen: Plan, later: Events, spec: ModelSpec) -> Validation | None:
    """Held-out rows that tell the metric of the plan; None where they hold nothing to tell it by."""
    if chosen.metric in RATING_NAMES:
        return Values.of(dataset, chosen, later)
    return Lists.of(dataset, chosen, later, spec.pair_numbers)


class Ready(NamedTuple):
    """All that a search for the best epoch needs."""

    source: Source
    everything: Dataset | None  # all rows, where they were looked at to find out how to split
    dataset: Dataset
    plan: Plan
    validation: Validation | None
    course: Course


def ready(config: Config, spec: ModelSpec, source: Source, group: Group) -> Ready:
    """Split if the configuration does not, plan, and make fresh towers."""
    with busy("planning"):
        return planned(config, spec, source, group)


def planned(config: Config, spec: ModelSpec, source: Source, group: Group) -> Ready:
    """The same, in silence."""
    everything, ahead = None, config.data.split.by not in PAIRS
    if config.data.split.by == "none":  # what is held out depends on whether time matters, and on nothing else
        everything = Dataset.of(source, source.lessons(Part.TRAIN))
        ahead = plan(everything, config.training, config.data.history, spec).clock.timed
        source = source.with_validation("time" if ahead else "random")
    dataset = Dataset.of(source, source.lessons(Part.TRAIN))
    chosen = plan(dataset, config.training, config.data.history, spec, ahead)
    validation = validation_of(dataset, chosen, select(source.events, source.rows(Part.VALID)), spec)
    if validation is None and config.training.refit and source.rows(Part.VALID).any():
        log.warning("nobody who is learned from likes anything new in the validation rows; %d epochs", chosen.epochs)
        dataset = everything or Dataset.of(source, source.lessons(Part.TRAIN, Part.VALID))
    course = trainer_of(spec)(spec, sizes_of(dataset, chosen, CONTEXT), dataset, chosen, group)
    return Ready(source, everything, dataset, chosen, validation, course)


class Found(NamedTuple):
    """What a search leaves. Its tables do not stay where all rows are to be learned from again."""

    plan: Plan
    source: Source
    dataset: Dataset | None  # that the exported model knows; None: of all rows, and not made yet
    members: list[Towers]
    best_epoch: int
    epochs: tuple[Epoch, ...]
    held_out: dict[str, dict[str, float]]


def search(
    config: Config, spec: ModelSpec, source: Source, group: Group, journal: Journal | None, tracker: Tracker
) -> Found:
    """Search for the best epoch with the validation part held out."""
    made = ready(config, spec, source, group)
    ensemble([made.course.towers] * made.plan.seeds)  # refuses what cannot be one model before it is trained
    tracker.parameters({"plan": made.plan.model_dump(mode="json", exclude_none=True)})
    made.course.listen = tracker.epoch
    again = made.validation is not None and config.training.refit
    found = made.course.train(made.validation, "search", journal, keep=not again)
    return Found(
        plan=made.plan,
        source=made.source,
        dataset=made.everything if again else made.dataset,
        members=[] if again else [found.towers],
        best_epoch=found.best_epoch,
        epochs=found.epochs,
        held_out={} if made.validation is None else {"model": found.held_out, **made.validation.beside()},
    )


def fit(
    config: Config, spec: ModelSpec, source: Source, group: Group, journal: Journal | None, tracker: Tracker
) -> tuple[Plan, Fitted]:
    """Search with the validation part held out; then, if asked, learn from both parts for the best number of epochs.

    With several seeds the first one searches, and all learn for as many epochs.
    """
    found = search(config, spec, source, group, journal, tracker)
    dataset = found.dataset
    if dataset is None:
        with busy("planning the refit"):
            dataset = Dataset.of(found.source, found.source.lessons(Part.TRAIN, Part.VALID))
    members, epochs = found.members, found.epochs
    for number in range(len(members), found.plan.seeds):
        mine = found.plan.model_copy(update={"epochs": found.best_epoch, "seed": found.plan.seed + number})
        course = trainer_of(spec)(spec, sizes_of(dataset, mine, CONTEXT), dataset, mine, group)
        course.listen = tracker.epoch
        refit = course.train(None, "refit" if number == 0 else f"refit {number + 1}", journal)
        members.append(refit.towers)
        epochs += refit.epochs
    return found.plan, Fitted(ensemble(members), dataset, found.best_epoch, epochs, found.held_out)


def write(
    job: TrainJob,
    spec: ModelSpec,
    chosen: Plan,
    fitted: Fitted,
    outcome: Outcome,
    inputs: dict[str, str],
    profile: Profile,
) -> None:
    """Write the checkpoint, whole or not at all."""
    config = job.config
    with new_directory(job.out) as out:
        fitted.dataset.catalogue.write(out)
        write_trend(fitted.dataset.timeline.as_of(None, chosen.clock).trend(), out)
        tables = files_below(out)
        blueprint = Blueprint(
            model={"name": config.model["name"], **spec.model_dump()},
            members=chosen.seeds,
            sizes=sizes_of(fitted.dataset, chosen, CONTEXT),
            data=config.data,
            clock=chosen.clock,
            loss=chosen.loss,
            target=chosen.target,
            recent=chosen.recent,
            score=config.score,
            inputs=inputs,
            weights=write_weights(fitted.towers, out / "weights.safetensors"),
            tables={path.relative_to(out).as_posix(): sha256(path) for path in tables},
        )
        blueprint.write(out / "spec.json")
        outcome.write(out / "metrics.json")
        profile.write(out / "profile.json")
        (out / "config.yaml").write_text(config.dump(), encoding="utf-8")
        (out / "history.jsonl").write_text("".join(e.model_dump_json() + "\n" for e in fitted.epochs), encoding="utf-8")
