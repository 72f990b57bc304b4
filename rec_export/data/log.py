"""Log: the interactions as arrays in time order, with rows for ids."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import pyarrow as pa

from rec_export.data.broken import NO_ID, TooManyBrokenError, readable, told, unreadable
from rec_export.data.columns import Bool, Float32, Int32, Int64, comparable, floats
from rec_export.data.config import Interactions, Minimum
from rec_export.data.keys import Keys
from rec_export.data.read import read_table
from rec_export.data.times import times
from rec_export.data.vocab import UNKNOWN, Vocab, ordered, shuffled
from rec_export.errors import DataError
from rec_export.progress import in_parts, passed
from rec_export.sets import distinct

log = logging.getLogger("rec_export")


class Events(NamedTuple):
    """The interactions as the file has them, ids and all; R rows."""

    user_id: Keys
    item_id: Keys
    time: Int64 | None  # microseconds since 1970 UTC
    value: Float32 | None
    positive: Bool
    part: pa.Array | None  # the split column, where one is named
    left_out: dict[str, int]  # other rows of the file, by what is wrong with them


@final
class Log(NamedTuple):
    """Interactions in time order (in the order of the file without time); every array is [R]."""

    user_row: Int32
    item_row: Int32
    time: Int64 | None
    value: Float32 | None
    positive: Bool

    def __len__(self) -> int:
        return len(self.user_row)

    def pairs(self, width: int) -> Int64:
        """A number for each row's user and item, whose rows lie below `width`: user_row x width + item_row."""
        return self.user_row * np.int64(width) + self.item_row

    def where(self, keep: Bool) -> "Log":
        """The rows that are kept; the same arrays where all are."""
        return self if keep.all() else self.at(np.flatnonzero(keep))

    def at(self, row: Int64) -> "Log":
        """The rows at these places, in this order."""
        return Log(
            self.user_row[row],
            self.item_row[row],
            None if self.time is None else self.time[row],
            None if self.value is None else self.value[row],
            self.positive[row],
        )


def read_events(source: Interactions, part: str | None = None) -> Events:
    """Read the log. Rows without a user or an item, and if so asked such as cannot be read, are left out, counted."""
    with in_parts(f"reading {source.path.name}", 6):
        return parsed(source, part)


def parsed(source: Interactions, part: str | None) -> Events:
    """The same, as the parts of a step."""
    columns = source.columns() + ([part] if part else [])
    table = read_table(source.path, columns, text=[source.user, source.item])
    passed(3)  # of six, as it takes about half the time
    table, left_out = readable(table, source)
    column = {name: table[name] for name in table.column_names}
    del table  # so that each column goes when it is read
    with refused_in_full(source):
        return converted(column, source, part, left_out)


def say_left_out(events: Events, path: Path) -> None:
    """Say how many rows of a log were left out, and why; whether they are too many is not judged here."""
    if events.left_out:
        log.info("rows of %s are left out: %s", path, told(events.left_out))


@contextmanager
def refused_in_full(source: Interactions) -> Iterator[None]:
    """A DataError about one column also tells of all rows that cannot be read, and of the way out, if there is one."""
    try:
        yield
    except DataError as error:
        if source.bad_rows == "leave_out":
            raise
        try:
            bad = unreadable(read_events(source.model_copy(update={"bad_rows": "leave_out"})).left_out)
        except TooManyBrokenError as many:
            raise DataError(f"{error}. In all, {many}" if many.kinds > 1 else str(error)) from error
        except DataError:
            raise error from None
        every = f". In all, {sum(bad.values()):,} rows cannot be read: {told(bad)}" if len(bad) > 1 else ""
        raise DataError(
            f"{error}{every}. To leave them out: data.interactions.bad_rows: leave_out, or --bad-rows leave-out of"
            " `init`, `run` and `score`"
        ) from error


def converted(
    column: dict[str, pa.ChunkedArray], source: Interactions, part: str | None, left_out: dict[str, int]
) -> Events:
    """The rows of columns, which are taken out of the dictionary. Raises DataError for what cannot be read."""
    among = f"{source.path}{' (rows with a user and an item)' * (NO_ID in left_out)}"  # whose numbers are told
    keys = {name: Keys.of(column.pop(name), f"column {name!r} of {source.path}") for name in (source.user, source.item)}
    passed(2)
    for key in keys.values():
        comparable(key.ids)  # refuses what is beyond int64
    value = floats(column.pop(source.value), f"column {source.value!r} of {among}") if source.value else None
    return Events(
        user_id=keys[source.user],
        item_id=keys[source.item],
        time=times(column.pop(source.time), source.time_unit, f"column {source.time!r} of {among}")
        if source.time
        else None,
        value=checked(value, f"column {source.value!r} of {among}"),
        positive=np.ones(len(keys[source.user]), bool)
        if source.positive is None or value is None
        else value >= source.positive,
        part=column[part].combine_chunks() if part else None,
        left_out=left_out,
    )


def checked(value: Float32 | None, where: str) -> Float32 | None:
    """Values that are all there; a missing rating or weight is neither good nor bad."""
    missing = 0 if value is None else int(np.isnan(value).sum())
    if value is not None and missing:
        raise DataError(
            f"{missing:,} of {len(value):,} values of {where} are missing, the first in row"
            f" {int(np.isnan(value).argmax()) + 1:,}; fill them or leave the rows out"
        )
    return value


def different_pairs(events: Events) -> Int64:
    """A number for each different pair of a user and an item, user code x items + item code, ascending."""
    key = events.user_id.code * np.int64(len(events.item_id.ids)) + events.item_id.code
    return distinct(key)


def vocabularies(events: Events, keep: Bool) -> tuple[Vocab, Vocab]:
    """The users (sorted: a shard of a run is a range of them) and the items (shuffled) of the rows that are kept."""
    events = select(events, keep)
    return Vocab(ordered(events.user_id.present())), Vocab(shuffled(events.item_id.present()))


def make_log(events: Events, users: Vocab, items: Vocab) -> Log:
    """The events in time order, with UNKNOWN for ids that the vocabularies do not hold."""
    if events.time is not None and (events.time[1:] < events.time[:-1]).any():
        events = at(events, np.argsort(events.time, kind="stable"))
    user, item = events.user_id.rows_in(users), events.item_id.rows_in(items)
    return Log(user, item, events.time, events.value, events.positive)


def known(log: Log) -> Log:
    """The rows whose user and item both have a row."""
    return log.where((log.user_row != UNKNOWN) & (log.item_row != UNKNOWN))


def core(events: Events, minimum: Minimum, among: Bool) -> Bool:
    """Those of the rows `among` whose users and items have enough positive rows there, bool [R] (the k-core)."""
    if not events.positive[among].any():
        raise DataError(f"none of {int(among.sum()):,} rows is a liking; lower data.interactions.positive")
    keep = among.copy()
    user, item = events.user_id.code, events.item_id.code
    while minimum.per_user > 1 or minimum.per_item > 1:
        counted = keep & events.positive
        enough = (np.bincount(user[counted], minlength=user.max() + 1)[user] >= minimum.per_user) & (
            np.bincount(item[counted], minlength=item.max() + 1)[item] >= minimum.per_item
        )
        if (keep & enough).sum() == keep.sum():
            break
        keep &= enough
        if not keep.any():
            raise DataError(
                f"no user and item are left with {minimum.per_user} and {minimum.per_item} rows; lower data.minimum"
            )
    return keep


def without_repeats(events: Events, rule: str, group: Int64) -> Bool:
    """The rows to keep of those that repeat a user and an item in one of the groups int64 [R], bool [R].

    All of them, or the first or last in time; of several at that time one that says "liked".
    """
    user, item = events.user_id.code, events.item_id.code
    if rule == "keep":
        return np.ones(len(user), bool)
    time = np.arange(len(user)) if events.time is None else events.time
    order = np.lexsort((~events.positive, time if rule == "first" else -time, item, user, group))
    new = np.ones(len(user), bool)
    new[1:] = np.any([column[order][1:] != column[order][:-1] for column in (group, user, item)], axis=0)
    keep = np.zeros(len(user), bool)
    keep[order[new]] = True
    return keep


def once(events: Events, rule: str) -> Events:
    """The events as `data.interactions.repeats` wants them, of all that are known at one time."""
    if rule == "keep":
        return events
    return select(events, without_repeats(events, rule, np.zeros(len(events.positive), np.int64)))


def select(events: Events, keep: Bool) -> Events:
    """The events of the rows that are kept; the same arrays where all are."""
    return events if keep.all() else at(events, np.flatnonzero(keep))


def at(events: Events, row: Int64) -> Events:
    """The events of the rows at these places, in this order."""
    return Events(
        events.user_id.at(row),
        events.item_id.at(row),
        None if events.time is None else events.time[row],
        None if events.value is None else events.value[row],
        events.positive[row],
        None if events.part is None else events.part.take(pa.array(row)),
        events.left_out,
    )
