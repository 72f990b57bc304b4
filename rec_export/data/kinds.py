"""A guess at the kinds of a table's columns, by their types and values."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.columns import floats
from rec_export.data.config import Attributes
from rec_export.data.names import CODES, PASSING, match, words_of
from rec_export.data.read import read_table
from rec_export.errors import DataError

SEPARATOR = "|"  # between tags in one cell
LONG_TEXT = 3.0  # words in the middle value of a column that is text
DATED = r"^\s*((19|20)\d\d([-/.]\d\d?){2}([T ].*)?|(19|20)\d\d[-/]\d\d?|\d\d?[./-]\d\d?[./-]\d{4}([T, ].*)?)\s*$"


def guess_attributes(path: Path, key: str | None, known: tuple[str, ...]) -> Attributes | None:
    """The kinds of a table's columns: lists are tags, numbers dense, long strings text, few-valued ones categories.

    None where no column is called as the log's ids, `key`, or as ids are known to be called.
    """
    table = read_table(path, None)
    names = table.column_names
    own = key if key in names else match((*known, "id"), names)
    if own is None:
        return None
    kinds: dict[str, list[str]] = {"dense": [], "category": [], "tags": [], "text": []}
    for name in names:
        if pa.types.is_binary(table[name].type) or pa.types.is_large_binary(table[name].type):
            raise DataError(f"column {name!r} of {path} is not UTF-8 text; write the file in UTF-8")
        kind = None if name == own else kind_of(table[name], name)
        if kind is not None:
            kinds[kind].append(name)
    return Attributes(path=path, id=own, **{kind: tuple(columns) for kind, columns in kinds.items()})


def kind_of(column: pa.ChunkedArray, name: str = "") -> str | None:
    """What a column is; None for what says nothing: empty or constant columns, dates, keys, links, what is in stock."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "tags" if pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type) else None
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return None
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    try:
        distinct, there = pc.count_distinct(column, mode="only_valid").as_py(), len(column) - column.null_count
    except pa.ArrowNotImplementedError:  # a type that nothing here can read
        return None
    if distinct < 2:
        return None
    if pa.types.is_boolean(kind):
        return "category"
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        if distinct < there and words_of(name) & CODES and all_whole(column):
            return "category"
        return (
            None if words_of(name) & PASSING else number_kind(column, distinct == there and pa.types.is_integer(kind))
        )
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return string_kind(column, distinct, there)
    return None


def all_whole(column: pa.ChunkedArray) -> bool:
    """Whether numbers are integers; with gaps they are floats in many files."""
    if not pa.types.is_integer(column.type):
        try:
            column.cast(pa.int64())
        except pa.ArrowInvalid:
            return False
    return True


def number_kind(column: pa.ChunkedArray, key_like: bool) -> str | None:
    """Numbers are dense, unless they are keys or have infinities."""
    try:
        floats(column, "")
    except DataError:
        return None
    return None if key_like else "dense"


def string_kind(column: pa.ChunkedArray, distinct: int, there: int) -> str | None:
    """Tags where cells are joined, text where they are long, a category where they repeat; not keys, links, dates."""
    valid = pc.drop_null(column)
    if share(pc.starts_with(valid, "http")) > 0.5 or share(pc.match_substring_regex(valid, DATED)) > 0.5:
        return None
    if share(pc.match_substring(valid, SEPARATOR)) > 0.3:
        return "tags"
    blanks = pc.approximate_median(pc.count_substring(valid, " ")).as_py()
    if blanks + 1 >= LONG_TEXT and distinct > 0.2 * there:
        return "text"
    return "category" if distinct <= 0.5 * there else ("text" if blanks >= 1 else None)


def share(mask: pa.ChunkedArray) -> float:
    """The share of a mask that is true."""
    found: float = pc.mean(mask.cast(pa.int8())).as_py()
    return found
