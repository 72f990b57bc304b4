"""Which columns of a log hold times, or may: told by their types and, of whole numbers, by their values."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.read import in_every_part, read_table
from rec_export.data.times import PER_SECOND, guess_unit
from rec_export.errors import DataError


def moments_of(types: Mapping[str, pa.DataType]) -> list[str]:
    """The columns whose type is that of times; where there are several each may be another event's."""
    return [name for name, kind in types.items() if pa.types.is_timestamp(kind) or pa.types.is_date(kind)]


def perhaps_times(path: Path, types: Mapping[str, pa.DataType]) -> list[str]:
    """The columns that may be the time: those whose type is, and whole numbers that are all dates in one unit.

    A number may be a key as well, so only a person can tell. What some part of a folder lacks is not looked at.
    """
    integers = (name for name, kind in types.items() if pa.types.is_integer(kind))
    moments, whole = moments_of(types), in_every_part(path, integers)
    numbers = read_table(path, whole) if whole else pa.table({})
    return [name for name in types if name in moments or (name in whole and dated(numbers[name]))]


def dated(column: pa.ChunkedArray) -> bool:
    """Whether the numbers of a column are dates from 1990 to now, and more than one."""
    span = pc.min_max(column)
    low, high = span["min"].as_py(), span["max"].as_py()
    if low is None or low == high:
        return False
    try:
        size = PER_SECOND[guess_unit(np.array([low, high], dtype=np.float64), "")]
    except DataError:
        return False
    return bool(high / size < (datetime.now(UTC) + timedelta(days=1)).timestamp())
