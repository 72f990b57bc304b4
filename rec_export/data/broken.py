"""The rows of a log that cannot be read: without a time or a value, or with what is none. They are refused, all kinds
in one sentence, or left out and counted where the user says so."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.columns import DAY, EARLIEST, LATEST, MICROSECONDS, Bool, numbers_in, usual_unit
from rec_export.data.config import Interactions, TimeUnit
from rec_export.data.read import read_table
from rec_export.errors import DataError
from rec_export.words import listed

Float64 = npt.NDArray[np.float64]
Kinds = dict[str, Bool]  # rows [R] by what is wrong with them; no row is in two
MOST = 0.5  # of all rows: where more are broken, it is no dirt but another format
FUTURE = "with a time in the future"  # which can be read, so it is not refused


def without_broken(table: pa.Table, source: Interactions) -> tuple[pa.Table, dict[str, int]]:
    """The rows that can be read, and how many others there are by what is wrong with them.

    Raises DataError where most rows are broken.
    """
    kinds = broken(table, source)
    counts = {what: int(rows.sum()) for what, rows in kinds.items()}
    left, every = sum(counts.values()), table.num_rows
    if left > MOST * every:
        raise DataError(
            f"{left:,} of {every:,} rows of {source.path} cannot be read ({told(counts)}), which is more than half;"
            " look at the columns, or name others"
        )
    return (table.filter(pa.array(~np.any([*kinds.values()], axis=0))) if kinds else table), counts


@contextmanager
def refused_in_full(source: Interactions) -> Iterator[None]:
    """A DataError about one column also tells of all rows that cannot be read, and how they can be left out."""
    try:
        yield
    except DataError as error:
        table = complete(read_table(source.path, source.columns(), text=[source.user, source.item]), source)
        counts = {what: int(rows.sum()) for what, rows in broken(table, source).items() if what != FUTURE}
        left = sum(counts.values())
        if source.bad_rows == "leave_out" or not 0 < left <= MOST * table.num_rows:
            raise
        every = (
            f". In all, {left:,} of {table.num_rows:,} rows cannot be read: {told(counts)}" if len(counts) > 1 else ""
        )
        raise DataError(
            f"{error}{every}. To leave them out: data.interactions.bad_rows: leave_out, or --bad-rows leave-out of"
            " `run` and `init`"
        ) from error


def complete(table: pa.Table, source: Interactions) -> pa.Table:
    """The rows that have a user and an item. Raises DataError where there are none."""
    has = pc.and_(*(pc.invert(pc.is_null(table[name], nan_is_null=True)) for name in (source.user, source.item)))
    if pc.all(has).as_py():
        return table
    if not pc.any(has).as_py():
        raise DataError(f"no row of {source.path} has both a user ({source.user}) and an item ({source.item})")
    return table.filter(has)


def told(counts: Mapping[str, int]) -> str:
    """Such as `3 without a time and 1 with a value that is no number`."""
    return listed(f"{count:,} {what}" for what, count in counts.items())


def broken(table: pa.Table, source: Interactions) -> Kinds:
    """The rows that cannot be read, and those of the future; what nothing is wrong with is not named."""
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
    missing = np.asarray(pc.is_null(column, nan_is_null=True))
    stamps = microseconds(column, unit)
    known = np.where(np.isfinite(stamps), stamps, 0.0)
    early, late = EARLIEST.timestamp() * 1e6, LATEST.timestamp() * 1e6
    strange = ~missing & ~np.isfinite(stamps)
    outside = ~missing & ~strange & ((known < early) | (known >= late)) & (unit == "auto")
    future = ~outside & ~missing & ~strange & (known > datetime.now(UTC).timestamp() * 1e6 + DAY)
    return {
        "without a time": missing,
        "with a time that is none": strange,
        "with a time before 1990 or after 2100": outside,
        FUTURE: future,
    }


def microseconds(column: pa.ChunkedArray, unit: TimeUnit) -> Float64:
    """Times as well as they can be read, float64 [R]; NaN where they cannot."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        numbers = numbers_in(column)
        dates = pd.to_datetime(column.to_pandas(), format="ISO8601", errors="coerce", utc=True)
        if dates.notna().sum() >= np.isfinite(numbers).sum():
            return of_stamps(dates)
        return of_numbers(numbers, unit)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return np.asarray(pc.cast(stamps, pa.int64()).to_numpy(), np.float64)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return of_numbers(np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64), unit)
    return np.zeros(len(column))  # what is no time at all is refused as a column


def of_stamps(dates: pd.Series) -> Float64:
    """Microseconds since 1970, float64 [R]."""
    whole = dates.dt.as_unit("us").astype("int64").to_numpy().astype(np.float64)
    return np.where(dates.notna(), whole, np.nan)


def of_numbers(values: Float64, unit: TimeUnit) -> Float64:
    """The same of epochs."""
    found = usual_unit(values) if unit == "auto" else unit
    if found is None:
        return np.where(np.isfinite(values), 0.0, np.nan)
    return values / 1000 if found == "ns" else values * MICROSECONDS[found]


def by_value(column: pa.ChunkedArray) -> Kinds:
    """What is wrong with ratings or weights."""
    kind = column.type
    missing = np.asarray(pc.is_null(column, nan_is_null=True))
    strange = np.zeros(len(column), bool)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        strange = ~missing & ~np.isfinite(numbers_in(column))
    elif pa.types.is_floating(kind):
        strange = ~missing & np.isinf(np.asarray(column.to_numpy()))
    return {"without a value": missing, "with a value that is no number": strange}
