"""Log: the interactions as arrays in time order, with rows for ids."""

from typing import NamedTuple, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.columns import Bool, Float32, Int64, comparable, floats, ids, times
from rec_export.data.config import Interactions, Minimum
from rec_export.data.read import read_table
from rec_export.data.vocab import UNKNOWN, Vocab, ordered, shuffled
from rec_export.errors import DataError


class Events(NamedTuple):
    """The interactions as the file has them, ids and all; R rows."""

    user_id: pa.Array
    item_id: pa.Array
    time: Int64 | None  # microseconds since 1970 UTC
    value: Float32 | None
    positive: Bool
    part: pa.Array | None  # the split column, where one is named
    dropped: int  # rows without a user or an item, left out


@final
class Log(NamedTuple):
    """Interactions in time order (in the order of the file without time); every array is [R]."""

    user_row: Int64
    item_row: Int64
    time: Int64 | None
    value: Float32 | None
    positive: Bool

    def __len__(self) -> int:
        return len(self.user_row)

    def where(self, keep: Bool) -> "Log":
        """The rows that are kept."""
        return self.at(np.flatnonzero(keep))

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
    """Read the log. Rows without a user or an item are left out and counted."""
    columns = source.columns() + ([part] if part else [])
    table = read_table(source.path, columns, text=[source.user, source.item])
    complete = pc.and_(*(pc.invert(pc.is_null(table[name], nan_is_null=True)) for name in (source.user, source.item)))
    kept = table.filter(complete)
    if kept.num_rows == 0:
        raise DataError(f"no row of {source.path} has both a user ({source.user}) and an item ({source.item})")
    value = floats(kept[source.value], f"column {source.value!r} of {source.path}") if source.value else None
    keys = {name: ids(kept[name], f"column {name!r} of {source.path}") for name in (source.user, source.item)}
    for key in keys.values():
        comparable(key)  # refuses what is beyond int64
    return Events(
        user_id=keys[source.user],
        item_id=keys[source.item],
        time=times(kept[source.time], source.time_unit, f"column {source.time!r} of {source.path}")
        if source.time
        else None,
        value=checked(value, source),
        positive=np.ones(kept.num_rows, bool) if source.positive is None or value is None else value >= source.positive,
        part=kept[part].combine_chunks() if part else None,
        dropped=table.num_rows - kept.num_rows,
    )


def checked(value: Float32 | None, source: Interactions) -> Float32 | None:
    """Values that are all there; a missing rating or weight is neither good nor bad."""
    missing = 0 if value is None else int(np.isnan(value).sum())
    if value is not None and missing:
        raise DataError(
            f"{missing:,} of {len(value):,} values of column {source.value!r} of {source.path} are missing,"
            f" the first in row {int(np.isnan(value).argmax()) + 1:,}; fill them or leave the rows out"
        )
    return value


def vocabularies(events: Events, keep: Bool) -> tuple[Vocab, Vocab]:
    """The users (sorted: a shard of a run is a range of them) and the items (shuffled) of the rows that are kept."""
    rows = pa.array(keep)
    return Vocab(ordered(events.user_id.filter(rows))), Vocab(shuffled(events.item_id.filter(rows)))


def make_log(events: Events, users: Vocab, items: Vocab) -> Log:
    """The events in time order, with UNKNOWN for ids that the vocabularies do not hold."""
    log = Log(users.rows(events.user_id), items.rows(events.item_id), events.time, events.value, events.positive)
    if events.time is None:
        return log
    return log.at(np.argsort(events.time, kind="stable"))


def known(log: Log) -> Log:
    """The rows whose user and item both have a row."""
    return log.where((log.user_row != UNKNOWN) & (log.item_row != UNKNOWN))


def codes(column: pa.Array) -> Int64:
    """A number for each distinct id, int64 [R]."""
    return pc.dictionary_encode(column).indices.to_numpy(zero_copy_only=False).astype(np.int64)


def core(events: Events, minimum: Minimum, among: Bool) -> Bool:
    """Those of the rows `among` whose users and items have enough positive rows there, bool [R] (the k-core)."""
    if not events.positive[among].any():
        raise DataError(f"none of {int(among.sum()):,} rows is a liking; lower data.interactions.positive")
    keep = among.copy()
    user, item = codes(events.user_id), codes(events.item_id)
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
    user, item = codes(events.user_id), codes(events.item_id)
    if rule == "keep":
        return np.ones(len(user), bool)
    time = np.arange(len(user)) if events.time is None else events.time
    order = np.lexsort((~events.positive, time if rule == "first" else -time, item, user, group))
    new = np.ones(len(user), bool)
    new[1:] = np.any([column[order][1:] != column[order][:-1] for column in (group, user, item)], axis=0)
    keep = np.zeros(len(user), bool)
    keep[order[new]] = True
    return keep


def select(events: Events, keep: Bool) -> Events:
    """The events of the rows that are kept."""
    rows = pa.array(keep)
    return Events(
        events.user_id.filter(rows),
        events.item_id.filter(rows),
        None if events.time is None else events.time[keep],
        None if events.value is None else events.value[keep],
        events.positive[keep],
        None if events.part is None else events.part.filter(rows),
        events.dropped,
    )
