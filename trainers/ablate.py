"""A configuration over several seeds; beside it variants of it trained alike, and what each part is worth by user.

Without variants it is the figures of one model with every seed shown, also beside somebody else's lists.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import numpy as np
import pyarrow as pa
from pydantic import Field

from rec_export.checkpoint import Checkpoint
from rec_export.config import Config
from rec_export.data.columns import comparable
from rec_export.data.log import Events
from rec_export.data.read import fingerprint
from rec_export.device import device_of
from rec_export.errors import UsageError
from rec_export.held_out import HeldOut, known_and_held_out, known_and_test, ways_to_hold_out
from rec_export.machine import usual_torch
from rec_export.metrics import Estimate, Float64, estimates, estimates_over_trainings
from rec_export.models import spec_of
from rec_export.progress import in_parts, passed, track
from rec_export.record import Record
from rec_export.towers import ModelSpec
from trainers.foreign import foreign, holds_lists, lists_in, refuse_informed
from trainers.job import TrainJob, learn
from trainers.judged import judge
from trainers.listers import by_model, scorer_of
from trainers.parallel import ALONE
from trainers.ready import read_source, trainer_of
from trainers.tracking import Tracker, settings_of, tracked

log = logging.getLogger("rec_export")
BASE = "base"
NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@final
class Variant(Record):
    """A name, and the changes to the configuration that it stands for."""

    name: str
    changes: tuple[str, ...]

    @classmethod
    def parsed(cls, text: str) -> Self:
        """From NAME:KEY=VALUE, with further :KEY=VALUE."""
        name, *changes = re.split(r":(?=[a-z_.]+=)", text)
        if not NAME.fullmatch(name) or name == BASE or not changes:
            raise UsageError(f"--variant is {text!r}, but should be like no-gate:model.gate=false")
        return cls(name=name, changes=tuple(changes))


@final
class AblateJob(Record):
    """What to compare, and on what."""

    config: Path
    out: Path
    variants: tuple[Variant, ...] = ()
    changes: tuple[str, ...] = ()  # of all variants, the base too
    seeds: int = Field(default=3, ge=1)
    test: Path | None = None
    against: Path | None = None  # lists of another system
    k: int = Field(default=10, ge=1)
    device: str | None = None  # instead of training.device
    bootstrap: int = Field(default=1000, ge=0)


@final
class Compared(Record):
    """A variant over all seeds; `difference` is that to the base, paired by user, None for the base itself."""

    changes: tuple[str, ...]
    seeds: dict[str, dict[str, float]]  # by seed: the mean of each metric over users
    epochs: dict[str, int]
    metrics: dict[str, Estimate]  # over trainings and users
    difference: dict[str, Estimate] | None
    against: dict[str, Estimate] | None = None  # the difference to another system's lists, likewise


@final
class Ablation(Record):
    """ablation.json: by variant, the base first."""

    users: int
    k: int
    against: str | None = None
    peer: dict[str, Estimate] | None = None  # the metrics of that other system's lists
    variants: dict[str, Compared]


class Trial(NamedTuple):
    """One variant with one seed, judged."""

    seed: int
    users: list[Any]  # the ids of the judged users
    values: dict[str, Float64]  # [U]
    epochs: int


@usual_torch()
def run(job: AblateJob) -> Ablation:
    """Train and judge what is not yet there; the checkpoints stay in job.out, so that a stopped run goes on."""
    names = [BASE, *(variant.name for variant in job.variants)]
    if len(set(names)) < len(names):
        raise UsageError(f"two variants have the same name: {', '.join(names[1:])}")
    variants = [Variant(name=BASE, changes=()), *job.variants]
    configs = {v.name: Config.load(job.config, (*job.changes, *v.changes)) for v in variants}  # slips come first
    specs = {name: spec_of(config.model, str(job.config)) for name, config in configs.items()}
    for spec in specs.values():
        trainer_of(spec)
    if job.test is None and not any_test_rows(configs[BASE]):
        raise UsageError(
            "nothing is held out to judge by; " + ways_to_hold_out(configs[BASE].data.interactions, "split the log")
        )
    for config in configs.values():
        device_of(job.device or config.training.device)
    refuse_other_rows(job, configs, specs)
    if job.against is not None:
        if not holds_lists(job.against):
            raise UsageError(f"{job.against} holds no lists; compare checkpoints by `rec-export evaluate --against`")
        lists_in(job.against)  # a slip should not wait for the trainings
        source = read_source(configs[BASE], specs[BASE])
        whole = source.hashes["interactions"] if job.test is None else None
        rows = known_and_held_out(source, configs[BASE].data, job.test)
        refuse_informed(job.against, *rows, whole, configs[BASE].score.seen == "keep")
    with tracked(configs[BASE].tracking, job.out.name, "ablate") as tracker:
        tracker.parameters(settings_of(configs[BASE]))
        result = compare(job, variants, configs, specs, tracker)
        tracker.text(result.as_json(), "ablation.json")
        for name, one in result.variants.items():
            tracker.metrics({f"{name}/{metric}": estimate.mean for metric, estimate in one.metrics.items()})
    return result


def refuse_other_rows(job: AblateJob, configs: dict[str, Config], specs: dict[str, ModelSpec]) -> None:
    """Raise UsageError for a variant that cannot be paired with the base: of other seeds, or judged on other rows."""
    base = configs[BASE]
    rows: tuple[Events, Events] | None = None
    for name, config in configs.items():
        if config.training.seed != base.training.seed:
            raise UsageError(f"the variant {name!r} sets training.seed, which --seeds gives to all alike")
        if config.score.seen != base.score.seen:
            raise UsageError(f"the variant {name!r} sets score.seen, and so what is held out; make it a configuration")
        if (config.data, config.training.loss) == (base.data, base.training.loss):
            continue
        rows = rows or known_and_held_out(read_source(base, specs[BASE]), base.data, job.test)
        others = known_and_held_out(read_source(config, specs[name]), config.data, job.test)
        if not all(map(same_rows, rows, others)):
            raise UsageError(
                f"the variant {name!r} would be judged on other rows than the base, or know others before them; make it"
                " a configuration of its own"
            )


def same_rows(one: Events, other: Events) -> bool:
    """Whether two parts of a log are the same rows in the same order, and like the same."""
    ids = [[comparable(key.column()) for key in (events.user_id, events.item_id)] for events in (one, other)]
    return all(map(pa.Array.equals, *ids)) and np.array_equal(one.positive, other.positive)


def any_test_rows(config: Config) -> bool:
    """Whether the split holds out rows to judge by."""
    split = config.data.split
    return split.by == "column" or (split.by != "none" and split.test > 0)


def compare(
    job: AblateJob,
    variants: list[Variant],
    configs: dict[str, Config],
    specs: dict[str, ModelSpec],
    tracker: Tracker,
) -> Ablation:
    """Train and judge all variants with all seeds; job.out/ablation.json."""
    # No member of one trial is a member of another.
    apart = max(config.training.seeds or specs[name].seeds for name, config in configs.items())
    trials: dict[str, list[Trial]] = {}
    peer: dict[str, Float64] | None = None
    for variant in track(variants, len(variants), "variants", logged=False):
        config = configs[variant.name]
        first = range(config.training.seed, config.training.seed + apart * job.seeds, apart)
        trials[variant.name] = [trial(job, variant, config, seed, tracker) for seed in first]
        if variant.name == BASE and job.against is not None:
            peer = by_another(job, job.out / BASE / f"seed-{first[0]}")
        if trials[variant.name][0].users != trials[BASE][0].users:
            raise UsageError(f"the variant {variant.name!r} is judged on other users than the base; leave data.* alone")
    result = Ablation(
        users=len(trials[BASE][0].users),
        k=job.k,
        against=None if job.against is None else str(job.against),
        peer=None if peer is None else estimates(peer, job.bootstrap),
        variants={
            v.name: compared(v, trials[v.name], trials[BASE], peer, job.bootstrap)
            for v in track(variants, len(variants), "intervals")
        },
    )
    result.write(job.out / "ablation.json")
    return result


def trial(job: AblateJob, variant: Variant, config: Config, seed: int, tracker: Tracker) -> Trial:
    """Train one variant with one seed, if that was not done, and judge it."""
    training = config.training.model_copy(update={"seed": seed, "device": job.device or config.training.device})
    config = config.model_copy(update={"training": training, "tracking": None})
    out = job.out / variant.name / f"seed-{seed}"
    with tracker.within(f"{variant.name}, seed {seed}", "ablate") as inner:
        if not out.exists():
            log.info("%s, seed %d", variant.name, seed)
            learn(TrainJob(config=config, out=out), None, ALONE, inner)
        elif (out / "config.yaml").read_text(encoding="utf-8") != config.dump():
            raise UsageError(f"{out} was trained with another configuration; name a new --out or remove it")
        found = judged(job, config, out, f"{variant.name}, seed {seed}")
        inner.parameters(settings_of(config))
        inner.metrics({f"test/{metric}": float(value.mean()) for metric, value in found.values.items()})
    return found


def judged(job: AblateJob, config: Config, out: Path, name: str) -> Trial:
    """The test metrics of a checkpoint, by user. Raises UsageError where it learned from other files."""
    checkpoint = Checkpoint.read(out)
    with in_parts("preparing", 3):
        rows = known_and_test(checkpoint, job.test)
        passed()
        held_out = HeldOut.of(checkpoint, *rows)
        passed()
        scorer = scorer_of(checkpoint, held_out, device_of(config.training.device))
    values = judge(by_model(scorer, held_out.again), held_out, (job.k,), name).values
    if checkpoint.blueprint.inputs != {name: fingerprint(path) for name, path in config.data.paths().items()}:
        raise UsageError(f"{out} was trained on other files; name a new --out or remove it")
    users, mine = by_user(held_out, values)
    epochs = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["best_epoch"]
    return Trial(config.training.seed, users, mine, epochs)


def by_another(job: AblateJob, checkpoint: Path) -> dict[str, Float64]:
    """The metrics of another system's lists, by user, float64 [U]; the users are those of every trial."""
    assert job.against is not None
    one = Checkpoint.read(checkpoint)
    held_out = HeldOut.of(one, *known_and_test(one, job.test))
    lists = foreign(job.against, held_out, job.k)
    return by_user(held_out, judge(lists, held_out, (job.k,), "against").values)[1]


def by_user(held_out: HeldOut, values: dict[str, Float64]) -> tuple[list[Any], dict[str, Float64]]:
    """The ids of the judged users, and their values, in one order: variants may know other users first."""
    users = held_out.catalogue.users.vocab.take(held_out.user).to_pylist()
    order = sorted(range(len(users)), key=lambda place: str(users[place]))
    return [users[place] for place in order], {m: value[order] for m, value in values.items()}


def compared(
    variant: Variant, mine: list[Trial], base: list[Trial], peer: dict[str, Float64] | None, bootstrap: int
) -> Compared:
    """A variant's metrics, and their differences to those of the base with the same seeds, and to another system's."""
    values, theirs = by_seed(mine), by_seed(base)
    difference = {metric: values[metric] - theirs[metric] for metric in values}
    seeds = {str(one.seed): {m: round(float(v.mean()), 5) for m, v in one.values.items()} for one in mine}
    return Compared(
        changes=variant.changes,
        seeds=seeds,
        epochs={str(one.seed): one.epochs for one in mine},
        metrics=estimates_over_trainings(values, bootstrap),
        difference=None if variant.name == BASE else estimates_over_trainings(difference, bootstrap),
        against=None if peer is None else estimates_over_trainings({m: values[m] - peer[m] for m in values}, bootstrap),
    )


def by_seed(trials: list[Trial]) -> dict[str, Float64]:
    """Each user's metrics with every seed, float64 [S, U] each."""
    return {m: np.stack([one.values[m] for one in trials]) for m in trials[0].values}
