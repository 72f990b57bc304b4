"""One column at a time: from what a file holds to ids, numbers and words; times.py has its times."""

import re

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.errors import DataError, some

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]  # rows of long columns, which take half the memory
Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

SPELLINGS = (  # what is looked for, and what is written in its place
    (r"^([+-]?\d+)\.0+$", r"\1"),
    (r"^(?:True|TRUE)$", "true"),
    (r"^(?:False|FALSE)$", "false"),
)
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def ids(column: pa.ChunkedArray, where: str) -> pa.Array:
    """Ids in the type they came in: strings or integers; nulls stay. Whole floats (integers with gaps) are int64."""
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


def spelled(texts: pa.Array) -> pa.Array:
    """Words as most programs write them: no blanks around them, 7 for 7.0, true for Python's and spreadsheets' True.

    The same value is written in several ways, in a CSV even by what stands in the column's other rows.
    """
    texts = pc.utf8_trim_whitespace(texts)
    for pattern, plain in SPELLINGS:
        texts = pc.replace_substring_regex(texts, pattern, plain)
    return texts


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
