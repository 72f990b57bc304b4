"""profile.json: what a log looks like, for people: how much, how dense, how long its tails, how active over time."""

from datetime import UTC, datetime
from typing import Self, final

import numpy as np
from pydantic import Field

from rec_export.data.broken import NO_ID, unreadable
from rec_export.data.columns import Bool, Float32, Int64
from rec_export.data.log import Events, different_pairs
from rec_export.data.source import Source, counted
from rec_export.data.split import Part
from rec_export.data.times import DAY, date
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.progress import in_parts, passed
from rec_export.record import Record

BUSIEST = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)  # shares of users or items, the busiest first
PERIODS = 60  # bars of the activity over time, at most
PERIOD_DAYS = (1, 7, 14, 30, 91, 182, 365)
LEVELS = 30  # bars of the values


@final
class Tail(Record):
    """How unevenly rows fall on users, or on items."""

    count: int  # users or items with a row
    median: float  # rows of one
    most: int
    single: int  # those with one row alone
    least: tuple[int, ...]  # bins by rows of one: 1, 2, 4, 8, ...; each reaches to the next
    held: tuple[int, ...]  # users or items in each bin
    share: tuple[float, ...]  # of all rows, those of the busiest BUSIEST

    @classmethod
    def measured(cls, rows: Int64) -> Self:
        """From the rows of each user or item, int64 [n]; who has none is not counted."""
        rows = rows[rows > 0]
        place = np.floor(np.log2(rows)).astype(np.int64)
        falling = np.cumsum(np.sort(rows)[::-1]) / rows.sum()
        ends = [max(1, round(share * len(rows))) for share in BUSIEST]
        return cls(
            count=len(rows),
            median=float(np.median(rows)),
            most=int(rows.max()),
            single=int((rows == 1).sum()),
            least=tuple(2**bin for bin in range(place.max() + 1)),
            held=tuple(np.bincount(place).tolist()),
            share=tuple(round(float(falling[end - 1]), 4) for end in ends),
        )


@final
class Bars(Record):
    """A histogram: `edges` are one more than `counts`; or a bar for each value, and then they are as many."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@final
class Profile(Record):
    """The log that a model was trained on, and what was left out of it, and why."""

    rows: int  # with a user and an item, before anything else is left out
    users: Tail
    items: Tail
    density: float  # share of all pairs of a user and an item that met
    liked: int  # rows that are likings
    without_ids: int  # rows left out as they name no user or no item
    broken: dict[str, int] = Field(default_factory=dict)  # rows left out by data.interactions.bad_rows, and why
    repeats: int  # rows left out by data.interactions.repeats
    parts: dict[str, int]  # rows of train, valid and test
    below_minimum: int  # rows of train and valid left out by data.minimum
    unliked: int | None = (
        None  # other such rows left out, of users who like nothing and items that nobody likes, of no table
    )
    catalogue: int | None  # rows of the table of items
    undescribed: int | None  # items of the log that are not in it
    first: str | None  # the oldest row, and the newest, ISO 8601 days
    last: str | None
    period_days: int | None  # of each bar of `activity`
    activity: tuple[int, ...]  # rows by period, from `first` on
    values: Bars | None

    @classmethod
    @in_parts("describing the log", 4)
    def measured(cls, source: Source) -> Self:
        """From all that was read."""
        events, whole = source.events, source.whole
        pairs = len(different_pairs(whole))
        passed()
        users, items = (Tail.measured(keys.counts()) for keys in (whole.user_id, whole.item_id))
        known, lessons = source.rows(Part.TRAIN, Part.VALID), source.lessons(Part.TRAIN, Part.VALID)
        passed()
        days, activity = activity_of(whole)
        passed()
        named = whole.item_id.present()
        table = source.items
        missing = table and int((Vocab(table.column(0).combine_chunks()).rows(named) == UNKNOWN).sum())
        return cls(
            rows=len(whole.positive),
            users=users,
            items=items,
            density=pairs / (users.count * items.count),
            liked=int(whole.positive.sum()),
            without_ids=whole.left_out.get(NO_ID, 0),
            broken=unreadable(whole.left_out),
            repeats=len(whole.positive) - len(events.positive),
            parts={part.name.lower(): int((source.parts == part).sum()) for part in Part},
            below_minimum=int(known.sum() - lessons.sum()),
            unliked=int((lessons & ~known_rows(source, lessons)).sum()),
            catalogue=table and table.num_rows,
            undescribed=missing,
            first=None if whole.time is None else date(int(whole.time.min())),
            last=None if whole.time is None else date(int(whole.time.max())),
            period_days=days,
            activity=activity,
            values=None if whole.value is None else bars(whole.value),
        )


def known_rows(source: Source, among: Bool) -> Bool:
    """The rows whose user and item are told of elsewhere: by a liking among some rows, or in a table; bool [R]."""
    events = counted(source.events, source.rated)
    liked, kept = among & events.positive, np.ones(len(among), bool)
    for keys, table in ((events.user_id, source.users), (events.item_id, source.items)):
        there = np.zeros(len(keys.ids), bool)
        there[keys.code[liked]] = True
        if table is not None:
            there |= Vocab(table.column(0).combine_chunks()).rows(keys.ids) != UNKNOWN
        kept &= there[keys.code]
    return kept


def activity_of(events: Events) -> tuple[int | None, tuple[int, ...]]:
    """The days of a period, and the rows of each from the first day on; nothing for a log without time."""
    if events.time is None:
        return None, ()
    day = events.time // DAY - int(events.time.min()) // DAY
    span = int(day.max()) + 1
    days = next((days for days in PERIOD_DAYS if span <= days * PERIODS), span // PERIODS + 1)
    return days, tuple(np.bincount(day // days).tolist())


def bars(value: Float32) -> Bars:
    """The values as they are where they are few and whole, such as stars; else by their logarithm if they allow it."""
    levels = np.unique(value)
    if len(levels) <= LEVELS:
        return Bars(edges=tuple(map(float, levels)), counts=tuple(np.unique(value, return_counts=True)[1].tolist()))
    wide = levels[0] > 0 and levels[-1] > 100 * np.median(value)
    edges = np.geomspace(levels[0], levels[-1], LEVELS + 1) if wide else np.linspace(levels[0], levels[-1], LEVELS + 1)
    counts, _ = np.histogram(value, edges)
    return Bars(edges=tuple(map(float, edges)), counts=tuple(counts.tolist()))


def day_of(first: str, days: int) -> str:
    """The day so many days after an ISO day."""
    start = datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()
    return datetime.fromtimestamp(start + 86_400 * days, UTC).date().isoformat()
