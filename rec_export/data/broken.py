"""The rows of a log that are left out, or refused: without a user or an item, and such as cannot be read."""

from collections.abc import Mapping
from typing import final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.columns import Bool, is_text, numbers_in, trimmed
from rec_export.data.config import Interactions, TimeUnit
from rec_export.data.times import EARLIEST, LATEST, MICROSECONDS, usual_unit
from rec_export.errors import DataError, some
from rec_export.words import listed

Float64 = npt.NDArray[np.float64]
Kinds = dict[str, Bool]  # rows [R] by what is wrong with them; no row is in two
NO_ID = "without a user or an item"  # which are always left out
HIGHEST = float(np.finfo(np.float32).max)
MOST = 0.5  # of all rows: where more are broken, it is no dirt but another format
DATE = r"\d{4}-\d\d-\d\d"  # and the hour, and the zone, as pyarrow reads them
HOUR = r"[T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?"
ZONE = r"(Z|[+-]\d\d(:?\d\d)?)"


@final
class TooManyBrokenError(DataError):
    """Most rows of a log cannot be read, for so many reasons."""

    def __init__(self, sentence: str, kinds: int = 0) -> None:  # a default, as pickle gives the sentence alone
        super().__init__(sentence)
        self.kinds = kinds


def readable(table: pa.Table, source: Interactions) -> tuple[pa.Table, dict[str, int]]:
    """The rows that stay, and how many others there are by what is wrong with them.

    Rows without a user or an item always go; those that cannot be read go where source.bad_rows says so. Raises
    DataError where none or few would stay.
    """
    complete = with_ids(table, source)
    left_out = {NO_ID: table.num_rows - complete.num_rows} if complete.num_rows < table.num_rows else {}
    if source.bad_rows == "refuse":
        return complete, left_out
    kept, counts = without_broken(complete, source)
    return kept, left_out | counts


def without_broken(table: pa.Table, source: Interactions) -> tuple[pa.Table, dict[str, int]]:
    """The rows that can be read, and how many others there are. Raises DataError where most rows are broken."""
    kinds = broken(table, source)
    counts = {what: int(rows.sum()) for what, rows in kinds.items()}
    left, every = sum(counts.values()), table.num_rows
    if left > MOST * every:
        raise TooManyBrokenError(
            f"{left:,} of {every:,} rows of {source.path} cannot be read ({told(counts)}), which is more than half;"
            f" {remedy(table, source, kinds)}",
            len(kinds),
        )
    return (table.filter(pa.array(~np.any([*kinds.values()], axis=0))) if kinds else table), counts


def remedy(table: pa.Table, source: Interactions, kinds: Kinds) -> str:
    """What to do about most rows: one of them shows what they look like, if there is something in them."""
    there = [rows for what, rows in kinds.items() if not what.startswith("without")]
    if not there:
        return "look at where they come from, or name other columns"
    one = table.filter(pa.array(max(there, key=np.sum))).slice(0, 1)
    shown = listed(f"{some(one[name].to_pylist())} as {name!r}" for name in (source.time, source.value) if name)
    return f"one has {shown}. Write times like 2026-11-20T08:30:00 and numbers like 4.5, or name other columns"


def with_ids(table: pa.Table, source: Interactions) -> pa.Table:
    """The rows that have a user and an item: an empty id is none. Raises DataError where there are none."""
    has = pc.and_(*(pc.invert(nameless(table[name])) for name in (source.user, source.item)))
    if pc.all(has).as_py():
        return table
    if not pc.any(has).as_py():
        raise DataError(f"no row of {source.path} has both a user ({source.user}) and an item ({source.item})")
    return table.filter(has)


def nameless(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where a column of ids holds none: bool [R]."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    missing = pc.is_null(column, nan_is_null=True)
    return pc.or_(missing, pc.fill_null(pc.equal(column, ""), False)) if is_text(column.type) else missing


def told(counts: Mapping[str, int]) -> str:
    """Such as `3 without a time and 1 with a value that is no number`."""
    return listed(f"{count:,} {what}" for what, count in counts.items())


def unreadable(left_out: Mapping[str, int]) -> dict[str, int]:
    """Those of the counts that are of rows with a user and an item."""
    return {what: count for what, count in left_out.items() if what != NO_ID}


def broken(table: pa.Table, source: Interactions) -> Kinds:
    """The rows that cannot be read; what nothing is wrong with is not named. Nor are columns that are wrong as a whole.

    Neither the day nor another row than those of this table decides, so the same file is always read alike.
    """
    found: Kinds = {}
    if source.time is not None:
        found |= by_time(table[source.time], source.time_unit)
    if source.value is not None:
        found |= by_value(table[source.value])
    before = np.zeros(table.num_rows, bool)
    for what, rows in found.items():
        found[what] = rows & ~before
        before = before | rows
    return {what: rows for what, rows in found.items() if rows.any()}


def by_time(column: pa.ChunkedArray, unit: TimeUnit) -> Kinds:
    """What is wrong with times. A number's unit is the one that makes most of them dates."""
    stamps = microseconds(column, unit)
    if stamps is None:
        return {}
    missing = np.asarray(pc.is_null(column, nan_is_null=True))
    strange = ~missing & ~(np.abs(stamps) < 2.0**63)
    known = np.where(missing | strange, np.nan, stamps)
    inside = (known >= EARLIEST.timestamp() * 1e6) & (known < LATEST.timestamp() * 1e6)
    outside = ~missing & ~strange & ~inside & (unit == "auto")
    return {
        "without a time": missing,
        "with a time that is none": strange,
        "with a time before 1990 or after 2100": outside,
    }


def microseconds(column: pa.ChunkedArray, unit: TimeUnit) -> Float64 | None:
    """Times as well as they can be read, float64 [R], NaN where they cannot; None where the column holds no times."""
    kind = column.type
    if is_text(kind):
        dates, numbers = dates_in(column), numbers_in(column)
        return dates if np.isfinite(dates).sum() >= np.isfinite(numbers).sum() else of_numbers(numbers, unit)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return np.asarray(pc.cast(stamps, pa.int64()).to_numpy(), np.float64)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return of_numbers(np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64), unit)
    return None


def dates_in(column: pa.ChunkedArray) -> Float64:
    """Text as microseconds since 1970, float64 [R]; NaN for what is no ISO 8601 time, or has a zone where most have
    none, or the reverse."""
    texts = trimmed(column)
    zoned, naive = (
        np.asarray(pc.fill_null(pc.match_substring_regex(texts, f"^{DATE}({HOUR}{end})$"), False)) for end in (ZONE, "")
    )
    naive = naive | np.asarray(pc.fill_null(pc.match_substring_regex(texts, f"^{DATE}$"), False))
    alike = zoned if zoned.sum() > naive.sum() else naive
    dates = pd.to_datetime(texts.to_pandas().where(alike), format="ISO8601", errors="coerce", utc=True)
    whole = dates.dt.as_unit("us").astype("int64").to_numpy().astype(np.float64)
    return np.where(dates.notna(), whole, np.nan)


def of_numbers(values: Float64, unit: TimeUnit) -> Float64 | None:
    """The same of epochs; None where no unit makes most of them dates."""
    found = usual_unit(values) if unit == "auto" else unit
    if found is None:
        return None
    return values / 1000 if found == "ns" else values * MICROSECONDS[found]


def by_value(column: pa.ChunkedArray) -> Kinds:
    """What is wrong with ratings or weights."""
    kind = column.type
    missing = np.asarray(pc.is_null(column, nan_is_null=True))
    strange = np.zeros(len(column), bool)
    if is_text(kind):
        strange = ~missing & ~(np.abs(numbers_in(column)) <= HIGHEST)
    elif pa.types.is_floating(kind):
        strange = ~missing & ~(np.abs(np.asarray(column.to_numpy(), np.float64)) <= HIGHEST)
    return {"without a value": missing, "with a value that is no number": strange}
