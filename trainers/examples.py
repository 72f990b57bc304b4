"""What to learn from: users at dates, what was known then, and what they liked next. Arrays, no row by row work."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np

from rec_export.by_user import ragged
from rec_export.data.clock import Clock
from rec_export.data.columns import Float32, Int64
from rec_export.data.times import DAY
from rec_export.data.vocab import UNKNOWN
from rec_export.metrics import Float64
from rec_export.world import Timeline, World

SNAPSHOTS = 60
EPOCH = 40_000  # examples of one epoch at most, so that early stopping looks often enough at a large log
COLD = 0.3  # share kept of the examples without a history
MOST_TARGETS = 100  # of one example
LIKED_ONCE = 1 + math.log1p(1.0)  # the weight of a liking of middling value
LEAST_FADED = 0.02  # of a liking's weight, however old it is
HIDDEN_HISTORY = 0.2  # share of a history's items that is hidden, in snapshots
SHOWN_BAG = 0.6  # share of a bag's items that is shown


class Batch(NamedTuple):
    """B examples of one moment."""

    moment: int  # a place in Examples.moments
    user: Int64  # [B]
    history: Int64  # [B, L]
    size: Int64  # [B]
    context: Float32  # [B, X]
    owner: Int64  # [T] the example of each target, ascending
    target: Int64  # [T] item rows
    weight: Float32  # [T]
    seen_owner: Int64  # [Q] the example of each item that is known already, and so no candidate; ascending
    seen: Int64  # [Q] item rows
    worth: float = 1.0  # of the whole batch, beside others
    value: Float32 | None = None  # [T] what the score of each target should be, where values are predicted
    share: float = 1.0  # of the whole batch's examples that are in this part of it

    def part(self, place: int, parts: int) -> "Batch":
        """One of several parts, whose weights are shares of those of the whole batch: a sum over parts is a mean."""
        first, last = place * len(self.user) // parts, (place + 1) * len(self.user) // parts
        mine = slice(first, last)
        targets = slice(*np.searchsorted(self.owner, (first, last)))
        seen = slice(*np.searchsorted(self.seen_owner, (first, last)))
        return self._replace(
            user=self.user[mine],
            history=self.history[mine],
            size=self.size[mine],
            context=self.context[mine],
            owner=self.owner[targets] - first,
            target=self.target[targets],
            weight=self.weight[targets] / max(self.weight.sum(), np.float32(1e-9)),
            seen_owner=self.seen_owner[seen] - first,
            seen=self.seen[seen],
            value=None if self.value is None else self.value[targets],
            share=(last - first) / len(self.user),
        )


class Examples(ABC):
    """A fixed set of examples that comes in a new order each epoch."""

    moments: list[World]  # the worlds whose trends the item tower sees

    @abstractmethod
    def __len__(self) -> int:
        """The number of examples."""

    @abstractmethod
    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch."""

    @abstractmethod
    def steps(self, size: int) -> int:
        """The number of batches of one epoch."""


def examples_of(
    timeline: Timeline, clock: Clock, length: int, recency: float | None, by_value: bool, snapshots: bool
) -> Examples:
    """Snapshots of the past for a model that reads what users liked until then, otherwise bags, which hold everybody.

    The weight of a snapshot, or of a liking in a bag, halves with every `recency` days of its age; None: all weigh
    alike. `by_value`: what a user liked weighs more with its value.
    """
    value = worth(timeline) if by_value else alike(1.0, len(timeline.item_row))
    if snapshots:
        return Snapshots(timeline, clock, length, recency, value)
    return Bags(timeline, clock, length, value if recency is None else value * faded(timeline, recency))


@final
class Snapshots(Examples):
    """Users at past dates: features as of the date, targets in the horizon that follows (train as you score).

    Dates go back from the end in steps of half a horizon, so that the newest rows are learned from as well.
    """

    def __init__(self, timeline: Timeline, clock: Clock, length: int, recency: float | None, value: Float64) -> None:
        horizon = int(clock.horizon * DAY)
        assert timeline.event_time is not None
        dates = [timeline.end - horizon - back * horizon // 2 for back in range(SNAPSHOTS)]
        dates = [date for date in dates if date > timeline.event_time[0] + horizon] or dates[:1]
        self.timeline, self.length, self.value = timeline, length, value
        self.moments = [timeline.as_of(date, clock) for date in dates]
        self.worth = [1.0 if recency is None else 0.5 ** ((dates[0] - date) / DAY / recency) for date in dates]
        ends = [timeline.before(date + horizon) for date in dates[:2]]
        self.until = (ends + [world.stop for world in self.moments])[: len(dates)]  # two steps are one horizon
        rng = np.random.default_rng(0)
        self.user = [self.active(world, until, rng) for world, until in zip(self.moments, self.until, strict=True)]

    def active(self, world: World, until: Int64, rng: np.random.Generator) -> Int64:
        """The users with a target; of those without a past only some, as a list for them is easily learned."""
        user = np.flatnonzero(until > world.stop)
        past = world.length(user) > 0
        return user[past | (rng.random(len(user)) < COLD)]

    def __len__(self) -> int:
        return sum(map(len, self.user))

    def steps(self, size: int) -> int:
        """The number of batches of one epoch."""
        return min(sum(math.ceil(len(user) / size) for user in self.user), math.ceil(EPOCH / size))

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch; each batch is of one date, as all its users see the same trends."""
        parts = [
            (moment, part)
            for moment, user in enumerate(self.user)
            for part in np.array_split(rng.permutation(user), max(1, math.ceil(len(user) / size)))
            if len(part)
        ]
        for place in rng.permutation(len(parts))[: self.steps(size)]:
            moment, user = parts[place]
            yield self.batch(moment, user, rng)

    def batch(self, moment: int, user: Int64, rng: np.random.Generator) -> Batch:
        """The users' examples at one date."""
        world = self.moments[moment]
        history, size = world.history(user, self.length)
        liked = ragged(world.stop[user], np.minimum(self.until[moment][user], world.stop[user] + MOST_TARGETS))
        past = ragged(world.stop[user] - size, world.stop[user])
        return Batch(
            moment=moment,
            user=user,
            history=np.where(rng.random(history.shape) < HIDDEN_HISTORY, UNKNOWN, history),
            size=size,
            context=world.context(user),
            owner=liked.owner,
            target=self.timeline.item(liked.place),
            weight=(self.value[liked.place] * shared(liked.owner, len(user))).astype(np.float32),
            seen_owner=past.owner,
            seen=self.timeline.item(past.place),
            worth=self.worth[moment],
        )


@final
class Bags(Examples):
    """Users without time: the towers see a random part of what a user liked and must name the rest.

    A denoising auto-encoder (Mult-DAE of Liang et al. 2018, Variational Autoencoders for Collaborative Filtering,
    arXiv:1802.05814) that does not name what it was shown.
    """

    def __init__(self, timeline: Timeline, clock: Clock, length: int, value: Float64) -> None:
        self.timeline, self.length, self.value = timeline, length, value
        self.moments = [timeline.as_of(None, clock)]
        self.user = np.flatnonzero(timeline.start[1:] > timeline.start[:-1])

    def __len__(self) -> int:
        return len(self.user)

    def steps(self, size: int) -> int:
        """The number of batches of one epoch."""
        return math.ceil(min(len(self.user), EPOCH) / size)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch."""
        for user in np.array_split(rng.permutation(self.user)[:EPOCH], self.steps(size)):
            yield self.batch(user, rng)

    def batch(self, user: Int64, rng: np.random.Generator) -> Batch:
        """The users' bags: a part is shown, the rest is to be named."""
        world = self.moments[0]
        liked = ragged(self.timeline.start[user], self.timeline.start[user + 1])
        hidden = rng.random(len(liked.place)) >= SHOWN_BAG
        hidden[0] |= not hidden.any()  # a batch must name something
        history, size = world.history(user, self.length)
        first = liked.start[1:] - size
        newest = ragged(first, liked.start[1:])  # what the history holds of each user
        gone, column = hidden[newest.place], newest.place - first[newest.owner]
        history[newest.owner[gone], column[gone]] = UNKNOWN
        shown = np.bincount(liked.owner[~hidden], minlength=len(user))
        context = world.context(user)
        context[:, 0], context[:, 2] = np.log1p(shown) / 2, shown == 0
        owner = liked.owner[hidden]
        return Batch(
            moment=0,
            user=user,
            history=history,
            size=size,
            context=context,
            owner=owner,
            target=self.timeline.item(liked.place[hidden]),
            weight=(self.value[liked.place[hidden]] * shared(owner, len(user))).astype(np.float32),
            seen_owner=liked.owner[~hidden],
            seen=self.timeline.item(liked.place[~hidden]),
        )


def worth(timeline: Timeline) -> Float64:
    """How much each first liking of a timeline weighs, by the logarithm of its value, float64 [S]."""
    if timeline.value is None:
        return alike(LIKED_ONCE, len(timeline.item_row))
    value = np.maximum(timeline.value, 0)
    weight: Float64 = 1 + np.log1p(value / max(float(np.median(value)), 1e-9))
    return weight


def faded(timeline: Timeline, recency: float) -> Float64:
    """How much of each first liking's weight is left, half with every `recency` days of age, float64 [S]; 1 of no time.

    A little always stays: who came long ago is learned of as well, by an optimizer that heeds no size of a gradient.
    """
    if timeline.time is None:
        return alike(1.0, len(timeline.item_row))
    left: Float64 = LEAST_FADED + (1 - LEAST_FADED) * 0.5 ** ((timeline.end - timeline.time) / DAY / recency)
    return left


def alike(weight: float, rows: int) -> Float64:
    """The same weight for all, float64 [rows], which takes no memory and cannot be written on."""
    return np.broadcast_to(np.float64(weight), rows)


def shared(owner: Int64, examples: int) -> Float32:
    """A weight for each target, so that an example with n of them weighs as the root of n, float32 [T]."""
    count = np.bincount(owner, minlength=examples)
    return (count[owner] ** -0.5).astype(np.float32)
