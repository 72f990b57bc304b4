"""The files that business rules read: lists of items, pairs of users and items, columns of today's items."""

import logging
from collections.abc import Sequence
from datetime import datetime
from math import ceil, isfinite
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.job import ScoreJob
from rec_export.catalogue import Catalogue
from rec_export.data.columns import Bool, Int64, floats, ids, is_text, trimmed, words
from rec_export.data.config import DataConfig
from rec_export.data.entities import aligned
from rec_export.data.read import read_table
from rec_export.data.times import DAY, PER_SECOND, parsed, usual_unit
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError, UsageError, shorten, some
from rec_export.rules import AGO, ItemList, PairList, Rules, Value
from rec_export.topk.caps import Caps
from rec_export.topk.contract import Seen

log = logging.getLogger("rec_export")
MOST_STRANGE = 0.5  # of the ids of a list, that nothing is known of, above which the user is told
FEW = 10  # different ids that are denied: so many, and none known, are a mistake; fewer may all have been discontinued


class Pairs(NamedTuple):
    """Rows of the vocabularies, int64 [rows] twice; UNKNOWN for an id that is in none."""

    user: Int64
    item: Int64

    @property
    def strange(self) -> Bool:
        """Which rows are not of a known user and a known item, bool [rows]."""
        return (self.user == UNKNOWN) | (self.item == UNKNOWN)

    def by_user(self, users: int) -> Seen:
        """The known items of each known user."""
        return Seen.of(self.user[~self.strange], self.item[~self.strange], users)

    def named(self, users: int) -> Bool:
        """Who stands in the list, be it with items that nothing is known of: bool [users]."""
        named = np.zeros(users, np.bool_)
        named[self.user[self.user != UNKNOWN]] = True
        return named


class RuleFiles(NamedTuple):
    """What the files of rules say, None where there is no such rule; an item that nothing is known of is UNKNOWN."""

    deny: Int64 | None
    allow: Int64 | None
    deny_by_user: Pairs | None
    allow_by_user: Pairs | None
    columns: pa.Table  # of today's items, in the order of the catalogue

    @classmethod
    def read(cls, job: ScoreJob, data: DataConfig, catalogue: Catalogue) -> Self:
        """Read them. Raises UsageError, MissingInputError or DataError where one makes no sense."""
        rules, users, items = job.rules, catalogue.users.vocab, catalogue.items.vocab
        return cls(
            deny=rules.deny and items_of(rules.deny, "rules.deny", items),
            allow=rules.allow and items_of(rules.allow, "rules.allow", items),
            deny_by_user=rules.deny_by_user and pairs_of(rules.deny_by_user, "rules.deny_by_user", users, items),
            allow_by_user=rules.allow_by_user and pairs_of(rules.allow_by_user, "rules.allow_by_user", users, items),
            columns=columns_of(rules, job, data, items),
        )

    def unmatched(self) -> dict[str, int]:
        """Rows of each list with an id that nothing is known of."""
        lists = {"deny": self.deny, "allow": self.allow}
        found = {name: int((row == UNKNOWN).sum()) for name, row in lists.items() if row is not None}
        pairs = {"deny_by_user": self.deny_by_user, "allow_by_user": self.allow_by_user}
        return found | {name: int(listed.strange.sum()) for name, listed in pairs.items() if listed is not None}


def items_of(listed: ItemList, rule: str, vocab: Vocab) -> Int64:
    """The rows of the items that a list names, int64 [n]."""
    if listed.path is None:
        where, named = rule, pa.array(listed.ids or (), pa.large_string())
    else:
        where = f"{listed.path} ({rule})"
        table = read_table(listed.path, [listed.item], text=[listed.item], may_be_empty=True)
        named = column_of_ids(table, listed.item, where)
    if rule == "rules.allow" and len(named) == 0:
        raise DataError(f"{where} has no rows, so nothing could be recommended; take the rule out to allow everything")
    row = vocab.rows(named)
    refuse_strangers(named, row == UNKNOWN, "items", where, least=FEW if rule == "rules.deny" else 1)
    return row


def pairs_of(listed: PairList, rule: str, users: Vocab, items: Vocab) -> Pairs:
    """The rows of users and items that a table names."""
    where, columns = f"{listed.path} ({rule})", [listed.user, listed.item]
    if listed.user == listed.item:
        raise UsageError(f"{rule} reads users and items from one column, {listed.user!r}; name two")
    table = read_table(listed.path, columns, text=columns, may_be_empty=True)
    user_id, item_id = (column_of_ids(table, column, where) for column in columns)
    pairs = Pairs(users.rows(user_id), items.rows(item_id))
    least = FEW if rule == "rules.deny_by_user" else 1
    refuse_strangers(user_id, pairs.user == UNKNOWN, "users", where, least)
    refuse_strangers(item_id, pairs.item == UNKNOWN, "items", where, least)
    return pairs


def column_of_ids(table: pa.Table, column: str, where: str) -> pa.Array:
    """Ids, which a table without rows has none of. Raises DataError where one is missing."""
    if table.num_rows == 0:
        return pa.array([], pa.large_string())
    gone = table[column].null_count
    if gone:
        raise DataError(f"{gone:,} of {table.num_rows:,} rows of {where} have no {column!r}; mend the list")
    return ids(table[column], f"column {column!r} of {where}")


def refuse_strangers(named: pa.Array, strange: Bool, what: str, where: str, least: int) -> None:
    """Raise DataError where a list has `least` different ids or more and none is known; tell of those that are not.

    It is a warning where most are not: items are discontinued, but not all at once.
    """
    if strange.all() and pc.count_distinct(named, mode="all").as_py() >= least:
        raise DataError(
            f"none of the {len(named):,} {what} in {where} is in the bundle or today's files, the first being"
            f" {some([named[0].as_py()])}; check that the ids are of the same kind, or take the rule out"
        )
    if strange.any():
        first = some(named.filter(pa.array(strange))[:1].to_pylist())
        log.log(
            logging.WARNING if strange.sum() > MOST_STRANGE * len(named) else logging.INFO,
            "%s of the %s %s in %s %s in neither the bundle nor today's files, the first being %s; check the ids",
            f"{strange.sum():,}", f"{len(named):,}", what, where, "is" if strange.sum() == 1 else "are", first,
        )  # fmt: skip


def columns_of(rules: Rules, job: ScoreJob, data: DataConfig, vocab: Vocab) -> pa.Table:
    """The columns of today's items that rules read, in the order of the catalogue; null where an item has no row."""
    columns = rules.columns()
    if not columns:
        return pa.table({})
    if job.items is None:
        raise UsageError(
            f"the rules read column {columns[0]!r} of today's items, but there is no table of items; name one with"
            " --items, or in data.items"
        )
    key = data.items.id if data.items is not None else data.interactions.item
    if key in columns:
        raise UsageError(
            f"the rules read {key!r} as an attribute, but it is the id; name items in rules.deny or .allow"
        )
    table = read_table(job.items, [key, *columns], text=[key])
    table = table.set_column(table.column_names.index(key), key, ids(table[key], f"column {key!r} of {job.items}"))
    return aligned(vocab, table.select([key, *columns]), key)


def with_values(column: pa.ChunkedArray, values: tuple[Value, ...], rule: str) -> Bool:
    """Which items have one of the values, bool [N]. Raises UsageError for values of another kind than the column's.

    Fractions are compared as the column holds them, times as moments, whole numbers and all else as they are written.
    A value that no item has is told; but for true, false and null, which cannot be misspelt.
    """
    column, given = plain(column, rule), [value for value in values if value is not None]
    kinds = kinds_of(column.type)
    strange = [value for value in given if type(value) not in kinds]
    if strange:
        raise UsageError(f"{rule} has {strange[0]!r}, but the column holds {column.type}; give values of that kind")
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        sought = pa.array([moment(str(value), column.type, rule) for value in given], column.type)
    elif pa.types.is_boolean(column.type):
        sought = pa.array(given, column.type)
    elif pa.types.is_floating(column.type):
        sought = pa.array([float(value) for value in given], pa.float64()).cast(column.type)
    else:
        column, sought = words(column, rule), pa.array([str(value) for value in given], pa.large_string())
    tell_absent(given, np.asarray(pc.is_in(sought, pc.unique(column))), rule)
    missing = np.asarray(pc.is_null(column, nan_is_null=True))
    return np.where(missing, None in values, np.asarray(pc.is_in(column, sought)))


def moment(text: str, kind: pa.TimestampType, rule: str) -> pa.Scalar:
    """A time of a column in microseconds; without a zone it is by the column's, and a date is its midnight."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{rule} has {text!r}, but the column holds {kind}; give values like 2026-11-20 or 2026-11-20T08:30"
        ) from None
    if time.tzinfo is not None:
        return pa.scalar(time, pa.timestamp("us", "UTC")).cast(kind)
    wall = pa.scalar(time, pa.timestamp("us"))
    if kind.tz is None:
        return wall
    return pc.assume_timezone(wall, kind.tz, ambiguous="earliest", nonexistent="earliest")


def tell_absent(given: Sequence[Value], found: Bool, rule: str) -> None:
    """A warning where some of the values that a rule leaves out stand in no row."""
    absent = [value for value, there in zip(given, found, strict=True) if not (there or isinstance(value, bool))]
    if absent:
        log.warning(
            "%s of the %s values of %s stand in no row of today's items: %s; check how they are written",
            f"{len(absent):,}", f"{len(given):,}", rule, ", ".join(shorten(repr(value)) for value in absent[:3]),
        )  # fmt: skip


def kinds_of(kind: pa.DataType) -> tuple[type, ...]:
    """What a column can be compared with."""
    if pa.types.is_boolean(kind):
        return (bool,)
    if pa.types.is_integer(kind):
        return (int,)
    if pa.types.is_timestamp(kind):
        return (str,)
    return (int, float) if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else (int, float, str)


def too_small(column: pa.ChunkedArray, least: float, rule: str) -> Bool:
    """Which items have less than `least`, in the numbers that the column holds, or nothing: bool [N]."""
    column = plain(column, rule)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        raise UsageError(
            f"{rule} is {least:g}, but the column holds {column.type}; give a date such as 2026-11-20, or '14 days ago'"
        )
    floats(column, rule)  # refuses words and infinities
    if pa.types.is_integer(column.type) and isfinite(least):  # which a float64 need not hold
        held = np.iinfo(column.type.to_pandas_dtype())
        bound = max(ceil(least), int(held.min))
        if bound > held.max:
            return np.ones(len(column), np.bool_)
        return np.asarray(pc.fill_null(pc.less(column, pa.scalar(bound, column.type)), True))
    if not pa.types.is_floating(column.type):
        column = pc.cast(column, pa.float64(), safe=False)
    return np.asarray(~(column.to_numpy() >= least))


def too_early(column: pa.ChunkedArray, least: str, rule: str, end: int) -> Bool:
    """Which items have a time before `least`, or none: bool [N]; `14 days ago` is so long before `end`, microseconds
    since 1970. Numbers are epochs in the unit that makes them dates.
    """
    column = plain(column, rule)
    if pa.types.is_null(column.type):
        return np.ones(len(column), np.bool_)
    if is_text(column.type):
        column = parsed(trimmed(column), f"the column of {rule}")
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        column = of_epochs(column)
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise UsageError(f"{rule} is {least!r}, but the column holds {column.type}, no times; give a number")
    kind = pa.timestamp("us", getattr(column.type, "tz", None))
    ago = AGO.fullmatch(least)
    bound = moment(least, kind, rule) if ago is None else pa.scalar(end - int(ago[1]) * DAY, pa.timestamp("us", "UTC"))
    return np.asarray(pc.fill_null(pc.less(column.cast(kind, safe=False), bound.cast(kind)), True))


def of_epochs(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers as timestamps, where half of them or more are epochs of one unit between 1990 and 2100."""
    values = column.to_numpy().astype(np.float64)
    unit = usual_unit(values)
    if unit is None:
        return column
    stamps = values / PER_SECOND[unit] * 1e6
    return pa.chunked_array([pa.array(stamps, pa.float64(), from_pandas=True).cast(pa.int64(), safe=False)]).cast(
        pa.timestamp("us")
    )


def caps_of(caps: dict[str, int], table: pa.Table, data: DataConfig) -> Caps:
    """The kinds of all items by the capped columns, and how many of each a list may hold."""
    kinds, limits, first = [], [], 0
    for column, most in caps.items():
        rule = f"rules.caps.{column}"
        if data.items is not None and column in data.items.tags:
            raise lists_in(column, rule, "tags")
        values = words(plain(table[column], rule), rule)
        coded = pc.dictionary_encode(pc.if_else(pc.equal(values, ""), None, values))  # without a brand is no brand
        kinds.append(pc.fill_null(pc.add(coded.indices.cast(pa.int64()), first), UNKNOWN).to_numpy())
        limits.append(np.full(len(coded.dictionary), most, np.int64))
        first += len(coded.dictionary)
    return Caps(np.stack(kinds, axis=1), np.concatenate(limits))


def plain(column: pa.ChunkedArray, rule: str) -> pa.ChunkedArray:
    """A column with one value for each item."""
    if pa.types.is_nested(column.type):
        raise lists_in(rule.rpartition(".")[2], rule, str(column.type))
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def lists_in(column: str, rule: str, kind: str) -> UsageError:
    """That a rule cannot read tags."""
    return UsageError(
        f"{rule} needs one value for each item, but {column!r} holds several ({kind}); write the one that counts into"
        " a column of its own"
    )
