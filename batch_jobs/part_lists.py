"""The lists of a part as arrays, read back from the disk; nothing of the run that made it is used."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_jobs.one_pass import one_pass
from rec_export.by_user import ragged
from rec_export.data.columns import Bool, Float32, Int32, Int64, comparable, whole
from rec_export.errors import DataError
from rec_export.run_manifest import SOURCES
from rec_export.topk.contract import portions

BROKEN = (
    "users out of order",  # also a user who stands in two places
    "ranks not 1, 2, 3, ...",
    "items twice in a list",
    "scores that are not finite",
    "scores that rise",
    "missing values",
)
ROWS_AT_ONCE = 1 << 20
UInt64 = npt.NDArray[np.uint64]


class Found(NamedTuple):
    """What `one_pass` found in B lists of I items."""

    broken: Int64  # [4]
    times: Int64  # [I + 1] how many rows hold each item; the last for those without any
    level: Bool  # [B]
    hashed: UInt64  # [B] the same list has the same number in every part


class PartRows(NamedTuple):
    """Some rows of a part as arrays; R rows of B lists."""

    user: pa.Array  # [B] int64 or large_string
    source: npt.NDArray[np.int8]  # [B] a place in SOURCES, or -1
    start: Int64  # [B] where each list begins
    item: Int32  # [R] places in `items`, I where there is none
    items: pa.Array  # [I] int64 or large_string; also some that no list holds
    rank: npt.NDArray[np.int16]  # [R]
    score: Float32  # [R]
    missing: int  # values that are null

    @classmethod
    def read(cls, path: Path) -> Iterator[Self]:
        """Read a part, some row groups at a time, as what is read into memory that was used before takes half the time.

        Raises DataError where it is damaged, cut off or something else.
        """
        try:
            file = pq.ParquetFile(
                path, page_checksum_verification=True, read_dictionary=["user_id", "item_id", "source"]
            )
            rows = np.array([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
            groups = list(portions(rows, ROWS_AT_ONCE)) or [rows]
            tables = (file.read_row_groups(some, use_threads=False) for some in groups)
            yield from map(cls.of, of_whole_lists(tables))
        except (OSError, KeyError, UnicodeDecodeError, pa.ArrowException) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{path} cannot be read, it is damaged or no part of a run: {said}") from error

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Of a table whose text is read as dictionaries."""
        user = table["user_id"]
        number = coded(user).indices.fill_null(-1).to_numpy() if pa.types.is_dictionary(user.type) else user.to_numpy()
        start = np.flatnonzero(np.append(True, number[1:] != number[:-1])[: len(number)])
        item, items = placed(table["item_id"])
        return cls(
            user=whole(user.take(pa.array(start))),
            source=sources(table["source"].take(pa.array(start))),
            start=start,
            item=item,
            items=comparable(items),
            rank=table["rank"].to_numpy(),
            score=table["score"].to_numpy(),
            missing=sum(column.null_count for column in table.columns),
        )

    @property
    def size(self) -> Int64:
        """How long each list is, [B]."""
        return np.diff(np.append(self.start, len(self.score)))

    def rows(self, which: Int64) -> pa.Table:
        """The users and items of some of the lists."""
        rows = ragged(self.start[which], self.start[which] + self.size[which])
        item = self.item[rows.place]
        return pa.table({
            "user_id": self.user.take(pa.array(which[rows.owner])),
            "item_id": self.items.take(pa.array(item, mask=item == len(self.items))),
        })  # fmt: skip

    def looked_at(self, hashed: UInt64) -> Found:
        """What there is in the rows, with a number for each item and for none, uint64 [I + 1]."""
        size = self.size
        weight = np.random.default_rng(0).integers(0, 2**64, int(size.max(initial=0)), np.uint64) | np.uint64(1)
        kinds = {np.int64: (4, len(hashed)), np.bool_: (len(size),), np.uint64: (len(size),)}
        found = Found(*(np.zeros(length, kind) for kind, lengths in kinds.items() for length in lengths))
        one_pass(np.append(self.start, len(self.score)), self.item, self.rank, self.score, hashed, weight, *found)
        return found

    def broken(self, found: Found) -> dict[str, int]:
        """How often each promise is broken."""
        unsorted = pc.sum(pc.less_equal(self.user[1:], self.user[:-1])).as_py() or 0
        counts = unsorted, *found.broken.tolist(), self.missing
        return {kind: int(count) for kind, count in zip(BROKEN, counts, strict=True)}


def of_whole_lists(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The rows of some tables, one at least, cut between two users: a row group may end within a long list."""
    held = next(tables)
    for table in tables:
        if len(held) and len(table) and table["user_id"][0].as_py() == held["user_id"][-1].as_py():
            same = pc.fill_null(pc.equal(table["user_id"], held["user_id"][-1]), False)
            other = pc.index(same, False).as_py()
            rest = other if other >= 0 else len(table)
            held, table = pa.concat_tables([held, table[:rest]]), table[rest:]
        if len(table):
            yield held
            held = table
    yield held


def coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column as places in its distinct values."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return encoded.unify_dictionaries().combine_chunks()


def placed(column: pa.ChunkedArray) -> tuple[Int32, pa.Array]:
    """The place of each value, int32 [R], among others that hold them all, [I]; I where there is none.

    Integers that lie close together, as ids often do, need no dictionary: all from the lowest to the highest are one.
    """
    if pa.types.is_integer(column.type) and len(column) and not column.null_count:
        value = column.to_numpy()
        low, high = int(value.min()), int(value.max())
        if high - low < min(len(value), np.iinfo(value.dtype).max):  # else the difference is no number of the type
            return (value - value.dtype.type(low)).astype(np.int32), pa.array(
                np.arange(low, high + 1, dtype=value.dtype)
            )
    item = coded(column)
    filled = item.indices.fill_null(len(item.dictionary)) if item.null_count else item.indices
    return filled.to_numpy(), item.dictionary


def sources(column: pa.ChunkedArray) -> npt.NDArray[np.int8]:
    """The places of values in SOURCES, int8 [B]; -1 for what is none."""
    return pc.fill_null(pc.index_in(column.cast(pa.string()), pa.array(SOURCES)), -1).to_numpy().astype(np.int8)
