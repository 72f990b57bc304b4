"""What is known as of a date: histories, seen items, context and trends. Training, evaluation and scoring all ask here.

A Timeline holds the whole log by user; `as_of` cuts it. Nothing at or after the date is looked at, so an example of
the past is built exactly as the nightly job builds tonight's (train as you score).
"""

import math
from typing import NamedTuple, Self, final

import numpy as np
import numpy.typing as npt

from rec_export.by_user import by_user_of, first_likings, ragged, rows_by_user, starts, tallied
from rec_export.data.clock import Clock
from rec_export.data.columns import Float32, Int32, Int64
from rec_export.data.log import Log
from rec_export.data.times import DAY
from rec_export.data.vocab import UNKNOWN
from rec_export.habit import Again
from rec_export.topk.contract import Seen

CONTEXT = 8  # how much and how lately (USUAL of them), how varied, and the hour and weekday of the date
LASTING = np.array([True, False, True, True, False, False, False, False])  # those that do not depend on the date
RECENCY, EMPTY = 1, 2  # the columns of the days since the last liking, and of whether nothing is known of a user
USUAL = 3  # log history length, log days since the last liking, nothing known


@final
class Timeline(NamedTuple):
    """A log by user and then by time."""

    item_row: Int32  # [S] the first liking of each user and item, by user, then in time order
    time: Int64 | None  # [S]
    value: Float32 | None  # [S]
    start: Int64  # [U + 1] where each user's rows begin
    event_item: Int32  # [R] every positive event, for the trends; in time order, or by user where there is no time
    event_time: Int64 | None  # [R]
    event_start: Int64  # [U + 1] where each user's begin, when they are by user and then by time
    visit: Int32 | Int64 | None  # [R] the places in event_item of each user's, ascending; None without time
    seen_item: Int32  # [Q] all that a user has met, liked or not
    seen_start: Int64  # [U + 1]
    items: int

    @classmethod
    def of(cls, log: Log, users: int, items: int) -> Self:
        """From a log whose rows lie in 0..users-1 and 0..items-1."""
        seen_start = starts(log.user_row, users)  # before there is an order, as it takes as much for a moment
        liked = log.where(log.positive)
        event_start = seen_start if liked is log else starts(liked.user_row, users)
        seen_item = by_user_of(log.user_row, log.item_row, seen_start)  # the log is in time order already
        by_user = seen_item if liked is log else by_user_of(liked.user_row, liked.item_row, event_start)
        new = first_likings(event_start, by_user, np.full(items, UNKNOWN, np.int32))
        kind = np.int32 if len(new) < 1 << 31 else np.int64
        plain = liked.time is None and liked.value is None
        order = None if plain else rows_by_user(liked.user_row, event_start)
        first = None if order is None else order[new]
        return cls(
            item_row=by_user[new],
            time=None if liked.time is None else liked.time[first],
            value=None if liked.value is None else liked.value[first],
            start=np.append(kind(0), np.cumsum(new, dtype=kind))[event_start].astype(np.int64),
            event_item=by_user if liked.time is None else liked.item_row,
            event_time=liked.time,
            event_start=event_start,
            visit=None if liked.time is None else order,
            seen_item=seen_item,
            seen_start=seen_start,
            items=items,
        )

    def item(self, place: Int64) -> Int64:
        """The items of first likings, int64 [n] -> int64 [n]."""
        return self.item_row[place].astype(np.int64)

    def as_of(self, date: int | None, clock: Clock) -> "World":
        """The world before `date` (microseconds; None: at the end of the log)."""
        if date is None or self.time is None:
            return World(self, self.start[1:], None if self.time is None else self.end, clock)
        return World(self, self.before(date), date, clock)

    @property
    def end(self) -> int:
        """Just after the last event."""
        assert self.event_time is not None
        return int(self.event_time[-1]) + 1 if len(self.event_time) else 0

    def last_event(self, user: Int64, date: int) -> Int64:
        """When users [B] last liked anything before `date`, again or for the first time, int64 [B]; `date` if never."""
        assert self.event_time is not None
        assert self.visit is not None
        stop = self.visited(user, date)
        never = stop == self.event_start[user]
        last = np.full(len(user), date)
        last[~never] = self.event_time[self.visit[stop[~never] - 1]]
        return last

    def events(self, user: Int64, date: int | None) -> Int64:
        """How often users [B] liked anything before `date` (None: ever), again or for the first time, int64 [B]."""
        stop = self.event_start[user + 1] if date is None or self.visit is None else self.visited(user, date)
        return stop - self.event_start[user]

    def visited(self, user: Int64, date: int) -> Int64:
        """Where in `visit` the events of users [B] at or after `date` begin, int64 [B]; found by bisection."""
        assert self.event_time is not None
        assert self.visit is not None
        first, stop = self.event_start[user], self.event_start[user + 1]
        limit = np.searchsorted(self.event_time, date)
        for _ in range(int((stop - first).max(initial=0)).bit_length()):
            middle = (first + stop) // 2
            left = first < stop
            past = left & (self.visit[np.where(left, middle, 0)] < limit)
            first, stop = np.where(past, middle + 1, first), np.where(past, stop, middle)
        return first

    def before(self, date: int) -> Int64:
        """Where each user's rows at or after `date` begin, int64 [U]."""
        assert self.time is not None
        counts = np.concatenate([[0], np.cumsum(self.time < date)])
        return self.start[:-1] + counts[self.start[1:]] - counts[self.start[:-1]]


@final
class World(NamedTuple):
    """A timeline cut at a date."""

    timeline: Timeline
    stop: Int64  # [U] where each user's known rows end
    date: int | None
    clock: Clock

    def history(self, user: Int64, length: int, *, wide: bool = False) -> tuple[Int64, Int64]:
        """The newest items that each user liked, int64 [B, L], newest last, right-padded; and how many, int64 [B].

        L is what the longest of them needs, at most `length`; `wide`: always `length`.
        """
        first = np.maximum(self.timeline.start[user], self.stop[user] - length)
        size = self.stop[user] - first
        place = np.arange(length if wide else max(1, size.max(initial=0)))
        live = place < size[:, None]
        history = np.full(live.shape, UNKNOWN)
        history[live] = self.timeline.item_row[(first[:, None] + place)[live]]
        return history, size

    def length(self, user: Int64) -> Int64:
        """How many items each user liked, int64 [B]."""
        return self.stop[user] - self.timeline.start[user]

    def again(self, user: Int64) -> Again:
        """All that each user liked, int64 [B], how often, and how many days before the date the last time was.

        In the order of the first times.
        """
        timeline = self.timeline
        if timeline.visit is None or timeline.event_time is None:
            likings = ragged(timeline.event_start[user], timeline.event_start[user + 1])
            row = likings.place
        else:
            assert self.date is not None
            likings = ragged(timeline.event_start[user], timeline.visited(user, self.date))
            row = timeline.visit[likings.place].astype(np.int64)
        start, item, times, last = tallied(likings.start, timeline.event_item[row], timeline.items)
        days = np.zeros(len(item))
        if self.clock.timed:
            assert self.date is not None
            assert timeline.event_time is not None
            days = (self.date - timeline.event_time[row[last]]) / DAY
        return Again(Seen(start, item), times, days)

    def context(self, user: Int64) -> Float32:
        """About each user as of the date, and about the date, float32 [B, X]: all of the order of 1."""
        size = self.length(user)
        recency = np.zeros(len(user))
        if self.clock.timed:
            assert self.date is not None
            days = (self.date - self.timeline.last_event(user, self.date)) / DAY
            recency = np.where(size > 0, recency_of(days), 2.0)
        varied = size / np.maximum(self.timeline.events(user, self.date if self.clock.timed else None), 1)
        when = [np.full(len(user), part) for part in self.calendar()]
        return np.stack([np.log1p(size) / 2, recency, size == 0, varied, *when], axis=1).astype(np.float32)

    def calendar(self) -> list[float]:
        """The hour and the weekday of the date (UTC), each as a point on a circle; zeros without time."""
        if not self.clock.timed or self.date is None:
            return [0.0] * 4
        turns = (self.date / DAY % 1, (self.date / DAY + 3) % 7 / 7)  # 1970 began on a Thursday
        return [part(2 * math.pi * turn) for turn in turns for part in (math.sin, math.cos)]

    def trend(self) -> Float32:
        """How each item has done of late, float32 [N, W]: the logarithm of its count beside the mean count.

        What nobody liked yet is flagged.
        """
        item, n = self.timeline.event_item, self.timeline.items
        columns = []
        if self.clock.timed:
            assert self.timeline.event_time is not None
            assert self.date is not None
            past = int(np.searchsorted(self.timeline.event_time, self.date))
            item, age = item[:past], (self.date - self.timeline.event_time[:past]) / DAY
            columns = [popularity(np.bincount(item, 0.5 ** (age / half), n)) for half in self.clock.half_lives]
            oldest = np.zeros(n)
            np.maximum.at(oldest, item, age)
        counts = np.bincount(item, minlength=n)
        columns += [popularity(counts), (counts == 0).astype(np.float64)]
        if self.clock.timed:
            columns.append(np.log1p(oldest / self.clock.horizon))
        return np.stack(columns, axis=1).astype(np.float32)

    def trend_for_lists(self) -> Float32:
        """The same as lists read it, float32 [N, W]."""
        return for_lists(self.trend(), self.clock)

    def likings(self) -> Int64:
        """How often each item was liked before the date, again or for the first time, int64 [N]."""
        item, time = self.timeline.event_item, self.timeline.event_time
        past = len(item) if time is None or self.date is None else int(np.searchsorted(time, self.date))
        return np.bincount(item[:past], minlength=self.timeline.items)

    def seen(self, user: Int64) -> Seen:
        """All that each user has met. Only for a world at the end of its log: the past has no list of the disliked."""
        lists = ragged(self.timeline.seen_start[user], self.timeline.seen_start[user + 1])
        return Seen(lists.start, self.timeline.seen_item[lists.place].astype(np.int64))


def recency_of(days: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Days since a user's last liking, float64 [B], as the context has them."""
    return np.log1p(days) / 4


def for_lists(trend: Float32, clock: Clock) -> Float32:
    """Trends with those of `untried` for what nobody ever liked, float32 [N, W] -> float32 [N, W]."""
    flagged = trend[:, clock.counts] > 0
    return np.where(flagged[:, None], untried(trend, clock), trend)


def untried(trend: Float32, clock: Clock) -> Float32:
    """The trends of an item that nobody ever liked, as lists read them, float32 [W], by those of all items, [N, W].

    They are those of the item that was liked least, of several the oldest. In training what nobody liked yet is
    flagged, but at a past date it was liked later, as it stands in the log: a model that went by the flag would fill
    lists with what nobody ever likes.
    """
    liked = trend[trend[:, clock.counts] == 0]
    if len(liked) == 0:
        return newcomer(clock)
    found: Float32 = liked[np.lexsort((-liked[:, -1], liked[:, : clock.counts].sum(1)))[0]]
    return found


def newcomer(clock: Clock) -> Float32:
    """The trends of an item that is not liked yet, as training reads them, float32 [W]."""
    quiet = popularity(np.zeros(clock.counts))
    return np.concatenate([quiet, [1.0], [0.0] * clock.timed]).astype(np.float32)


def popularity(counts: npt.NDArray[np.float64] | Int64) -> npt.NDArray[np.float64]:
    """The logarithm of counts beside their mean; an item without any is at log 0.05."""
    return np.log(counts / max(float(counts.mean()), 1e-9) + 0.05)
