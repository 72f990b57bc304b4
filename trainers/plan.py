"""What follows from the log where the configuration is silent: whether time is looked at, and how to train."""

from math import ceil
from typing import Any, Literal, final

import numpy as np

from rec_export.config import Loss, Target, Training
from rec_export.data.clock import Clock
from rec_export.data.times import DAY
from rec_export.errors import UsageError
from rec_export.metrics import RATING_NAMES
from rec_export.record import Record
from rec_export.towers import ModelSpec
from rec_export.world import Timeline
from trainers.baselines import Pairs, Ridge, chosen_ridge
from trainers.contest import popularity_contest
from trainers.dataset import Dataset
from trainers.negatives import Rule
from trainers.order import order_tells

HALF_LIVES = (0.1, 0.25, 0.5, 1.0, 2.0, 6.0)  # in horizons
SMALL = 500_000  # likings, up to which several seeds may be worth their time
FULL_SCORES = 5_000_000  # of an epoch, up to which all items are candidates
FACTORS = 10.0  # rows: the weakest prior of factors that does not overfit where biases want less
STEPS = 360  # at least, in all epochs together: of few users an epoch has few
BATCH_NUMBERS = 1 << 25  # in the head, for all pairs of a batch


@final
class Plan(Record):
    """The numbers of a training run, all known."""

    clock: Clock
    recent: int  # the trend column whose popularity list did best
    epochs: int
    patience: int
    batch: int
    lr: float
    decay: float
    embedding_decay: float
    user_prior: float = 0.0  # of mse: the ridge of a user's embeddings, in rows
    item_prior: float = 0.0
    embedding_prior: float = 0.0  # the least of those of embeddings wider than a bias
    id_dropout: float
    row_wise: int
    shard: bool = False
    averaging: float  # how much of the running mean of the weights stays at each step
    loss: Loss
    target: Target = "value"
    candidates: int | None  # items that a batch's targets are told from; None: all
    negatives: Rule
    logq: bool
    reject: bool
    schedule: Literal["constant", "cosine", "step", "plateau"]
    course: int  # the epochs that the schedule is laid out for
    precision: Literal["float32", "bfloat16"]
    compile: bool
    clip: float
    recency: float | None
    by_value: bool
    history: int
    seed: int
    seeds: int
    metric: str


def plan(dataset: Dataset, training: Training, history: int, spec: ModelSpec, ahead: bool = True) -> Plan:
    """Time is looked at where recent popularity foretells more than that of all time, or what a user liked last more
    than all that the user liked, if the model reads in which order that was.

    `ahead`: what is held out comes after all that is learned from. Elsewhere it is of any time, and the newest date,
    as of which lists are made, tells nothing about it. Where a pair holds many numbers in the model's head, targets are
    told from fewer items.
    """
    if training.loss == "mse":
        return plan_of_values(dataset, training, history, spec)
    timeline, trained_items = dataset.timeline, dataset.catalogue.items.trained
    clock, recent = Clock(), 0
    if ahead and timeline.time is not None and len(timeline.time) > 1:
        timed = clock_of(timeline)
        contest = popularity_contest(timeline, timed)
        if len(contest.scores) and (
            contest.beats(contest.best(), timed.counts - 1) or (spec.reads_order and order_tells(timeline))
        ):
            clock, recent = timed, contest.best()
    liked, users = len(timeline.item_row), int((np.diff(timeline.start) > 0).sum())
    snapshots = snapshots_for(spec, clock)
    defaults = usual(snapshots, liked)
    if training.loss == "softmax" and (liked if snapshots else users) * trained_items <= FULL_SCORES:
        defaults["candidates"] = None
    batch = int(training.batch or defaults["batch"])
    if not snapshots and spec.trainer == "gradient":
        defaults["epochs"] = max(defaults["epochs"], ceil(STEPS / ceil(max(users, 1) / batch)))
    own = {"lr": spec.lr, "epochs": spec.epochs, "patience": spec.patience}
    defaults |= {name: number for name, number in own.items() if number is not None}
    if clock.timed and spec.half_life is not None:
        defaults["recency"] = spec.half_life * clock.horizon
    defaults["by_value"] = not snapshots or spec.trainer != "gradient"
    defaults["seeds"] = 1 if clock.timed or liked > SMALL or spec.pair_numbers else spec.seeds
    if spec.pair_numbers:
        most = max(2, BATCH_NUMBERS // (spec.pair_numbers * batch))
        wanted = defaults["candidates"] or trained_items
        defaults["candidates"] = most if most < wanted else defaults["candidates"]
    # A hidden id leaves the attributes to learn from; without any it only teaches what an unknown item is worth.
    defaults["id_dropout"] = 0.2 if dataset.item_features.described else 0.05
    given = training.model_dump(include=set(Plan.model_fields), exclude_none=True)
    chosen = {"recency": None, "decay": 0.01, "metric": metric_of(training), **defaults, **given}
    if spec.trainer != "gradient":  # whose solver knows no other loss than its own, whatever is given
        chosen["loss"] = "bpr" if spec.trainer == "bpr" else "softmax"
    return Plan(clock=clock, recent=recent, history=history, course=chosen["epochs"], **chosen)


def snapshots_for(spec: ModelSpec, clock: Clock) -> bool:
    """Whether a model learns from snapshots of the past: where time tells something, and if it reads what users liked.

    One that knows a user by a row alone would learn nothing of who liked nothing lately, or came but once.
    """
    return clock.timed and (spec.reads_order or spec.trainer != "gradient")


def metric_of(training: Training) -> str:
    """The metric that chooses the epoch. Raises UsageError where it is not one of what is learned."""
    predicts = training.loss == "mse"
    metric = training.metric or ("rmse" if predicts else "ndcg@10")
    if metric in RATING_NAMES and not predicts:
        raise UsageError(f"training.metric is {metric!r}, which needs training.loss: mse; the loss is {training.loss}")
    return metric


def plan_of_values(dataset: Dataset, training: Training, history: int, spec: ModelSpec) -> Plan:
    """Where values are predicted, each row is an example, and ids are drawn to the mean as biases alone should be."""
    users, items = dataset.catalogue.users.trained, dataset.catalogue.items.trained
    ridge = Ridge(training.prior, training.prior) if training.prior is not None else None
    ridge = ridge or chosen_ridge(Pairs.learned(dataset, training.target), users, items)
    defaults = {
        "epochs": 60,
        "patience": 6,
        "batch": 1024,
        "lr": 2e-3 if spec.pair_numbers else 5e-3,
        "decay": 0.0,
        "embedding_decay": 0.0,
        "averaging": 0.98,
        "candidates": None,
        "recency": None,
        "by_value": False,
        "id_dropout": 0.02,
        "seeds": 1,
        "metric": metric_of(training),
    }
    chosen = {**defaults, **training.model_dump(include=set(Plan.model_fields), exclude_none=True)}
    least = FACTORS if training.prior is None else training.prior
    priors = {"user_prior": ridge.user, "item_prior": ridge.item, "embedding_prior": least}
    return Plan(clock=Clock(), recent=0, history=history, course=chosen["epochs"], **priors, **chosen)


def usual(snapshots: bool, liked: int) -> dict[str, Any]:
    """What is not given, for a log with so many likings; docs/decisions.md has the figures behind it."""
    if snapshots:
        return {
            "epochs": 14,
            "patience": 3,
            "batch": 256,
            "lr": 2e-3,
            "embedding_decay": 2.0,
            "averaging": 0.995,
            "candidates": 600,
        }
    return {
        "epochs": 60,
        "patience": 16,
        "batch": 256,
        "lr": 6e-3,
        "embedding_decay": float(np.clip(20_000 / max(liked, 1), 0.03, 3.0)),  # the fewer rows, the stronger
        "averaging": 0.98,
        "candidates": 4000,
    }


def clock_of(timeline: Timeline) -> Clock:
    """A horizon of at most 30 days and at most a twelfth of the log, and half-lives around it."""
    assert timeline.event_time is not None
    span = (timeline.event_time[-1] - timeline.event_time[0]) / DAY
    horizon = max(min(30.0, float(span) / 12), 1e-3)
    return Clock(horizon=horizon, half_lives=tuple(h * horizon for h in HALF_LIVES))
