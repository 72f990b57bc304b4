"""One column at a time: from what a file holds to ids, times, numbers and words."""

import re
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.config import TimeUnit
from rec_export.errors import DataError, some

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]  # rows of long columns, which take half the memory
Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000  # microseconds
END = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1_000_000  # the last day that has a name
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def ids(column: pa.ChunkedArray, where: str) -> pa.Array:
    """Ids in the type they came in: strings or integers; nulls stay. Whole floats (integers with gaps) are int64.

    Text that is wholly made of canonical integers (as a CSV file has them) becomes int64; 007 keeps it text.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    refuse_kind(kind, where)
    return integral(column, where) if pa.types.is_floating(kind) else column.combine_chunks()


def refuse_kind(kind: pa.DataType, where: str) -> None:
    """Raise DataError for a type that holds no ids."""
    if pa.types.is_null(kind):
        raise DataError(f"{where} holds no value at all; name the column of ids")
    tests = (pa.types.is_floating, pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)
    if not any(test(kind) for test in tests):
        raise DataError(f"{where} holds {kind}, which cannot be an id; ids are strings or integers")


def integral(column: pa.ChunkedArray, where: str) -> pa.Array:
    """Floats that are all whole numbers, as int64. Where they are too large, several integers are one float."""
    exact = 2.0 ** (np.finfo(column.type.to_pandas_dtype()).nmant + 1)  # 2^53 in double precision
    column = pc.cast(column, pa.float64())
    largest = pc.max(pc.abs(column)).as_py()
    if largest is not None and exact <= largest < np.inf:
        raise DataError(
            f"{where} holds floats of {largest:.0f} and the like, which have lost their last digits; write ids as"
            " integers or strings"
        )
    try:
        return pc.cast(column, pa.int64()).combine_chunks()
    except pa.ArrowInvalid as error:
        raise DataError(f"{where} holds fractions, which cannot be ids; ids are strings or integers") from error


def numbers_where_possible(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as int64 where every value is the canonical writing of one, so that nothing is lost either way.

    Or of a whole float, in a column with gaps or where all are such: programs write integers with gaps as 7.0.
    """
    floats = pc.ends_with(column, ".0")
    if pc.all(floats).as_py() or (column.null_count and pc.any(floats).as_py()):
        texts = pc.replace_substring_regex(column, r"\.0$", "")
    else:
        texts = column
    try:
        numbers = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return column
    return numbers if pc.all(pc.equal(pc.cast(numbers, column.type), texts)).as_py() else column


def comparable(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Ids in the one type in which they are looked up: int64 or large_string."""
    if pa.types.is_integer(array.type):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DataError(f"an id is beyond int64 ({some([pc.max(array).as_py()])}); write ids as strings") from error
    return array.cast(pa.large_string())


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Ids as one array, comparable; of several texts each array may hold 2 GB, so they may be more together."""
    return comparable(column).combine_chunks()


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
        return plausible(stamps, where) if unit == "auto" else stamps
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
    texts = pc.unique(column).to_pylist()
    strange = [text for text in texts if not is_time(text)]
    if not strange:
        zoned = [text for text in texts if datetime.fromisoformat(text).tzinfo is not None]
        mixed = f"{len(zoned):,} of its {len(texts):,} values have a zone, such as {some(zoned[:1])}, and others none; "
        raise DataError(
            f"{where} holds times that are not all written alike: {mixed if 0 < len(zoned) < len(texts) else ''}write"
            f" {some(texts[:1])} and all others like 2026-11-20T08:30:00, or with a Z behind each"
        )
    raise DataError(
        f"{where} holds text that is no ISO 8601 time ({len(strange):,} different values), the first being"
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
    if len(found) and not -END < int(found.min()) <= int(found.max()) < END:
        raise DataError(f"{where} holds times beyond the year 9999, read as epochs in {unit}; set time_unit to another")
    return found


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


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without the blanks that some programs write behind a comma."""
    return pc.utf8_trim_whitespace(column)


def numbers_in(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Text as numbers, float64 [R]; NaN for what is none, or is written in another way than with digits."""
    texts = trimmed(column)
    written = np.asarray(pc.fill_null(pc.match_substring_regex(texts, NUMBER), False))
    return pd.to_numeric(texts.to_pandas().where(written), errors="coerce").to_numpy(np.float64)


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


def floats(column: pa.ChunkedArray, where: str) -> Float32:
    """float32 [R]; missing values are NaN. Raises DataError for text and for infinities."""
    kind = column.type
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null, pa.types.is_decimal)
    if is_text(kind):
        column = trimmed(column)
        refuse_words(column, where)
        column = pc.cast(column, pa.float64())
    elif not any(test(kind) for test in tests):
        raise DataError(f"{where} holds {kind} where numbers are needed, the first being {some([first(column)])}")
    values = np.array(pc.cast(column, pa.float32(), safe=False).to_numpy(), dtype=np.float32)
    infinite = int(np.isinf(values).sum())
    if infinite:
        row = int(np.isinf(values).argmax()) + 1
        raise DataError(
            f"{infinite:,} of {len(values):,} values of {where} are infinite, the first in row {row:,}; make them"
            " missing instead"
        )
    return values


def refuse_words(column: pa.ChunkedArray, where: str) -> None:
    """Raise DataError where text is not all numbers."""
    texts = column.to_pandas()
    strange = pd.to_numeric(texts, errors="coerce").isna() & texts.notna()
    if strange.any():
        place = int(strange.argmax())
        comma = re.fullmatch(r"[+-]?\d+,\d+", str(texts[place]).strip())
        remedy = (
            "write them with a decimal point and no other marks, as in 4.5 or 1000"
            if comma
            else "repair them or leave the rows out"
        )
        raise DataError(
            f"{int(strange.sum()):,} of {len(texts):,} values of {where} are no numbers, the first being"
            f" {some([texts[place]])} in row {place + 1:,}; {remedy}"
        )


def words(column: pa.ChunkedArray, where: str) -> pa.Array:
    """Strings [R]; numbers and booleans are written out, and a missing value is null.

    7.0 is written as 7 is, however large: whole numbers with gaps are floats in many files.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type):
        raise DataError(f"{where} holds {column.type} where one word is needed; declare it under tags")
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        texts = pc.cast(column, pa.large_string())
        return (without_exponents(texts, column) if pa.types.is_floating(column.type) else texts).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{where} holds {column.type}, which cannot be read as words") from error


def without_exponents(texts: pa.ChunkedArray, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Floats as text, large whole ones as 12345678901 and not as 1.2345678901e+10."""
    large = pc.and_(pc.match_substring(texts, "e+"), pc.less(pc.abs(column), 2.0**63))
    whole = pc.and_(large, pc.equal(pc.floor(column), column))
    integers = pc.cast(pc.if_else(whole, column, pa.scalar(None, column.type)), pa.int64(), safe=False)
    return pc.if_else(pc.fill_null(whole, False), pc.cast(integers, texts.type), texts)


def bags(column: pa.ChunkedArray, separator: str, where: str) -> pa.Array:
    """Lists of strings [R]; a cell that is one string is cut at `separator`; missing is null, an empty one nameless."""
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        if pa.types.is_nested(kind):
            raise DataError(f"{where} holds {kind}, which cannot be read as tags; tags are lists of strings")
        column = pa.chunked_array([pc.split_pattern(words(column, where), separator)])
    try:
        return pc.cast(column, pa.large_list(pa.large_string())).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{where} holds {kind}, which cannot be read as tags") from error


def first(column: pa.ChunkedArray) -> object:
    """The first value that is not missing."""
    return next((value.as_py() for value in column if value.is_valid), None)
