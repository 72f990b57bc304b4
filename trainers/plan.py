"""What follows from the log where the configuration is silent: whether time is looked at, and how to train."""

from typing import Any, Literal, NamedTuple, final

import numpy as np

from rec_export.by_user import ragged
from rec_export.config import Loss, Target, Training
from rec_export.data.clock import Clock
from rec_export.data.columns import DAY, Int64
from rec_export.errors import UsageError
from rec_export.metrics import RATING_NAMES, Float64, Targets, hits, per_user
from rec_export.progress import track
from rec_export.record import Record
from rec_export.towers import ModelSpec
from rec_export.world import Timeline, World
from trainers.baselines import Pairs, Ridge, chosen_ridge
from trainers.dataset import Dataset
from trainers.negatives import Rule

WINDOWS = 12  # of the recent past, on which popularity lists are compared
USERS = 1000  # of each window
HALF_LIVES = (0.1, 0.25, 0.5, 1.0, 2.0, 6.0)  # in horizons
K = 10
SMALL = 500_000  # likings, up to which several seeds may be worth their time
FULL_SCORES = 5_000_000  # of an epoch, up to which all items are candidates
FACTORS = 10.0  # rows: the weakest prior of factors that does not overfit where biases want less
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


class Contest(NamedTuple):
    """NDCG@10 of popularity lists by trend column over the windows, float64 [users of all windows, W]."""

    scores: Float64

    def best(self) -> int:
        """The column that did best."""
        return int(self.scores.mean(0).argmax())

    def beats(self, one: int, other: int) -> bool:
        """Whether a column is clearly better than another: by 5% and by three standard errors."""
        gain = self.scores[:, one] - self.scores[:, other]
        error = gain.std() / max(len(gain), 1) ** 0.5
        return bool(gain.mean() > 0.05 * self.scores[:, other].mean() and gain.mean() > 3 * error)


def plan(dataset: Dataset, training: Training, history: int, spec: ModelSpec, ahead: bool = True) -> Plan:
    """Time is looked at where recent popularity foretells more than that of all time.

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
        if len(contest.scores) and contest.beats(contest.best(), timed.counts - 1):
            clock, recent = timed, contest.best()
    liked, users = len(timeline.item_row), int((np.diff(timeline.start) > 0).sum())
    defaults = usual(clock.timed, liked)
    if training.loss == "softmax" and (liked if clock.timed else users) * trained_items <= FULL_SCORES:
        defaults["candidates"] = None
    own = {"lr": spec.lr, "epochs": spec.epochs, "patience": spec.patience}
    defaults |= {name: number for name, number in own.items() if number is not None}
    if clock.timed and spec.half_life is not None:
        defaults["recency"] = spec.half_life * clock.horizon
    defaults["by_value"] = not clock.timed
    defaults["seeds"] = 1 if clock.timed or liked > SMALL or spec.pair_numbers else spec.seeds
    if spec.pair_numbers:
        most = max(2, BATCH_NUMBERS // (spec.pair_numbers * int(training.batch or defaults["batch"] or 1)))
        wanted = defaults["candidates"] or trained_items
        defaults["candidates"] = most if most < wanted else defaults["candidates"]
    # A hidden id leaves the attributes to learn from; without any it only teaches what an unknown item is worth.
    defaults["id_dropout"] = 0.2 if dataset.item_features.described else 0.05
    given = training.model_dump(include=set(Plan.model_fields), exclude_none=True)
    chosen = {"recency": None, "decay": 0.01, "metric": metric_of(training), **defaults, **given}
    return Plan(clock=clock, recent=recent, history=history, course=chosen["epochs"], **chosen)


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


def usual(timed: bool, liked: int) -> dict[str, Any]:
    """What is not given, for a log with so many likings; docs/decisions.md has the figures behind it."""
    if timed:
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


def popularity_contest(timeline: Timeline, clock: Clock) -> Contest:
    """How well the lists of each trend column told what users with a past liked next, over the last windows."""
    rng = np.random.default_rng(0)
    rows = []
    for back in track(range(1, WINDOWS + 1), WINDOWS, "comparing popularity lists", logged=False):
        date = timeline.end - int(back * clock.horizon * DAY)
        world = timeline.as_of(date, clock)
        user, targets = window_targets(timeline, world, date + int(clock.horizon * DAY), rng)
        if len(user):
            rows.append(contest_window(world, user, targets))
    columns = len(clock.half_lives) + 1
    return Contest(np.concatenate(rows) if rows else np.zeros((0, columns)))


def window_targets(timeline: Timeline, world: World, stop: int, rng: np.random.Generator) -> tuple[Int64, Targets]:
    """Some users with a past who liked something new in the window that follows, and what."""
    until = timeline.before(stop)
    user = np.flatnonzero((until > world.stop) & (world.stop > timeline.start[:-1]))
    user = np.sort(rng.permutation(user)[:USERS])
    liked = ragged(world.stop[user], until[user])
    return user, Targets(liked.owner, timeline.item(liked.place))


def contest_window(world: World, user: Int64, targets: Targets) -> Float64:
    """NDCG@10 of each user by trend column, float64 [B, columns]; what users have seen is left out of their lists."""
    timeline = world.timeline
    past = ragged(timeline.start[user], world.stop[user])
    trend = world.trend()
    columns = []
    for column in range(len(world.clock.half_lives) + 1):
        top = np.argsort(-trend[:, column], kind="stable")[: 20 * K]
        place = np.full(timeline.items, -1)
        place[top] = np.arange(len(top))
        order = np.tile(np.arange(len(top)), (len(user), 1))
        seen = place[timeline.item_row[past.place]]
        order[past.owner[seen >= 0], seen[seen >= 0]] = len(top) + 1
        lists = top[np.argsort(order, axis=1, kind="stable")[:, :K]]
        columns.append(per_user(hits(lists, targets, timeline.items), targets.counts(len(user)), K)["ndcg"])
    return np.stack(columns, axis=1)
