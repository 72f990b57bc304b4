"""Moments: from what a column holds to microseconds since 1970, whichever unit or text it is."""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.columns import Int64, is_text, numbers_in, trimmed
from rec_export.data.config import TimeUnit
from rec_export.errors import DataError, some
from rec_export.words import counted

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000  # microseconds
END = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1_000_000  # the last day that has a name


def times(column: pa.ChunkedArray, unit: TimeUnit, where: str) -> Int64:
    """Microseconds since 1970 UTC, int64 [R]. Numbers are epochs in `unit`; "auto" finds the one that gives dates."""
    missing = column.null_count
    if missing:
        row = pc.index(column.is_null(), True).as_py() + 1
        raise DataError(
            f"{missing:,} of {len(column):,} values of {where} are missing, the first in row {row:,}; fill them or"
            " leave the rows out"
        )
    if is_text(column.type):
        column = parsed(trimmed(column), where)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        stamps = np.asarray(pc.cast(pc.cast(column, pa.timestamp("us", zone), safe=False), pa.int64()))
        return (
            plausible(stamps, where)
            if unit == "auto"
            else on_a_calendar(stamps, where, "as it is written; repair them or leave the rows out")
        )
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(f"{where} holds {kind}, which cannot be a time; give epochs, dates or timestamps")
    try:
        values = np.asarray(column.cast(pa.float64() if pa.types.is_floating(kind) else pa.int64()))
    except pa.ArrowInvalid as error:
        raise DataError(f"{where} holds a number beyond int64 ({pc.max(column).as_py()}), which is no time") from error
    if not np.isfinite(values).all():
        strange = int((~np.isfinite(values)).sum())
        raise DataError(
            f"{strange:,} of {len(values):,} values of {where} are not finite; repair them or leave the rows out"
        )
    return epochs(values, guess_unit(values, where) if unit == "auto" else unit, where)


def parsed(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Timestamps from ISO 8601 text; a zone, where given, is honoured. Text that is all numbers gives numbers."""
    times = (pa.timestamp(unit, zone) for unit in ("us", "ns") for zone in (None, "UTC"))
    for kind in (*times, pa.int64(), pa.float64()):
        try:
            return pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
    number = np.isfinite(numbers_in(column))
    if 2 * int(number.sum()) > len(column):
        row = int(number.argmin())
        raise DataError(
            f"{int((~number).sum()):,} of {len(column):,} values of {where} are no numbers, as the others are, the"
            f" first being {some([column[row].as_py()])} in row {row + 1:,}; repair them or leave the rows out"
        )
    texts = pc.unique(column.drop_null()).to_pylist()
    strange = [text for text in texts if not is_time(text)]
    if not strange:
        zoned = [text for text in texts if datetime.fromisoformat(text).tzinfo is not None]
        mixed = f"{len(zoned):,} of its {len(texts):,} values have a zone, such as {some(zoned[:1])}, and others none; "
        raise DataError(
            f"{where} holds times that are not all written alike: {mixed if 0 < len(zoned) < len(texts) else ''}write"
            f" {some(texts[:1])} and all others like 2026-11-20T08:30:00, or with a Z behind each"
        )
    raise DataError(
        f"{where} holds text that is no ISO 8601 time ({counted(len(strange), 'different value')}), the first being"
        f" {some(strange[:1] or [column[0].as_py()])}; write times like 2026-11-20 or 2026-11-20T08:30:00Z"
    )


def is_time(text: str) -> bool:
    """Whether a text is an ISO 8601 time."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def plausible(stamps: Int64, where: str) -> Int64:
    """The times, if they lie between 1990 and 2100: a wrong unit somewhere upstream ends in 1970."""
    low, high = int(stamps.min()), int(stamps.max())
    if low < EARLIEST.timestamp() * 1e6 or high >= LATEST.timestamp() * 1e6:
        early, late = (np.datetime64(time, "us").astype("datetime64[D]") for time in (low, high))
        raise DataError(
            f"the times in {where} ({early} .. {late}) are not between 1990 and 2100; repair them, set time_unit to us,"
            " or use the log without time"
        )
    return stamps


def epochs(values: npt.NDArray[np.int64] | npt.NDArray[np.float64], unit: str, where: str) -> Int64:
    """Microseconds from epochs in a unit."""
    if unit == "ns":
        return (values // 1000).astype(np.int64)
    if len(values) and float(np.abs(values.astype(np.float64)).max()) * MICROSECONDS[unit] >= 2.0**63:
        raise DataError(f"{where} holds times that are too large for epochs in {unit}; set time_unit to ms, us or ns")
    found = (values * MICROSECONDS[unit]).astype(np.int64)
    return on_a_calendar(found, where, f"read as epochs in {unit}; set time_unit to another")


def on_a_calendar(stamps: Int64, where: str, why: str) -> Int64:
    """The times, in microseconds, if all are of days that have a name."""
    if len(stamps) and not -END < int(stamps.min()) <= int(stamps.max()) < END:
        raise DataError(f"{where} holds times beyond the year 9999, {why}")
    return stamps


def unit_of(column: pa.ChunkedArray, unit: TimeUnit) -> str | None:
    """The unit in which a column of numbers is read; None where it holds dates or text."""
    kind = column.type
    if is_text(kind):
        values = numbers_in(column)
        if 2 * int(np.isfinite(values).sum()) <= len(values):
            return None
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = np.asarray(column.drop_null().cast(pa.float64(), safe=False))
    else:
        return None
    return usual_unit(values) if unit == "auto" else unit


def usual_unit(values: npt.NDArray[np.float64]) -> str | None:
    """The unit in which half of the values or more lie between 1990 and 2100; None: in none. NaN is looked over."""
    here = values[np.isfinite(values)]
    for unit, size in PER_SECOND.items():
        inside = (here >= EARLIEST.timestamp() * size) & (here < LATEST.timestamp() * size)
        if len(here) and 2 * int(inside.sum()) >= len(here):
            return unit
    return None


def guess_unit(values: npt.NDArray[np.int64] | npt.NDArray[np.float64], where: str) -> str:
    """The unit in which all values lie between 1990 and 2100. Raises DataError when there is none."""
    low, high = float(values.min()), float(values.max())
    for unit, size in PER_SECOND.items():
        if low >= EARLIEST.timestamp() * size and high < LATEST.timestamp() * size:
            return unit
    raise DataError(
        f"the times in {where} ({low:g} .. {high:g}) are dates between 1990 and 2100 in no unit of s, ms, us, ns;"
        " repair them, set time_unit, or use the log without time"
    )


def date(time: int) -> str:
    """A time in microseconds as its day, UTC."""
    return datetime.fromtimestamp(time / 1e6, tz=UTC).date().isoformat()
