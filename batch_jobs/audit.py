"""What the lists of a run look like, read back from its parts: sums for each part that add up over all of them.

The gates judge these, and `verify-run` repeats them. Nothing of the run that made the parts is used, so what is
checked is what readers will get.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_jobs.drift import score_counts
from batch_jobs.one_pass import one_pass
from rec_export.data.columns import Bool, Float32, Int32, Int64, comparable, whole
from rec_export.errors import DataError
from rec_export.run_manifest import SOURCES, Audit
from rec_export.topk.contract import portions

SAMPLE = 10_000  # users, about, whose lists are compared with yesterday's
BROKEN = (
    "users out of order",  # also a user who stands in two places
    "ranks not 1, 2, 3, ...",
    "items twice in a list",
    "scores that are not finite",
    "scores that rise",
    "missing values",
)
ROWS_AT_ONCE = 1 << 20
HELD = 4  # times as many counts of single parts as of their sum, when they are added up
UInt64 = npt.NDArray[np.uint64]
Keep = Callable[[UInt64], npt.NDArray[np.bool_]]


class Evidence(NamedTuple):
    """What is counted of some parts; `together` adds it up."""

    users: dict[str, int]  # with a list, by source
    rows: int
    flat: int  # lists of several items with one and the same score
    broken: dict[str, int]
    item: pd.Series  # hash of an item's id -> lists that hold it
    first: pd.Series  # the same -> lists that begin with it
    same: pd.Series  # hash of a list by the model -> how often
    scores: pd.Series  # bin of a score by the model (drift.py) -> rows
    sample: pa.Table  # user_id, item_id of some users
    ends: tuple[pa.Scalar, pa.Scalar] | None  # the first and the last user

    @classmethod
    def of(cls, path: Path, keep: Keep) -> Self:
        """Of one part, with its page checksums verified; `keep` chooses the users of the sample by hashes of their ids.

        Raises DataError where the file cannot be read.
        """
        return cls.together(cls.of_lists(lists, keep) for lists in Lists.read(path))

    @classmethod
    def of_lists(cls, lists: "Lists", keep: Keep) -> Self:
        """Of some lists of a part."""
        size, hashed = lists.size, np.append(hashes(lists.items), np.uint64(0))
        found = lists.looked_at(hashed)
        by_model = lists.source == SOURCES[0]
        kept = np.repeat(keep(hashes(lists.user)), size)
        return cls(
            users={name: int((lists.source == name).sum()) for name in SOURCES},
            rows=len(lists.score),
            flat=int((found.level & (size > 1)).sum()),
            broken=lists.broken(found),
            item=counted(hashed, found.times),
            first=counted(hashed, np.bincount(lists.item[lists.start], minlength=len(hashed))),
            same=pd.Series(found.hashed[by_model]).value_counts(),
            scores=score_counts(lists.score if by_model.all() else lists.score[np.repeat(by_model, size)]),
            sample=lists.rows(np.flatnonzero(kept)),
            ends=(lists.user[0], lists.user[-1]) if len(lists.user) else None,
        )

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """Of all parts, in their order. They are added up as they come, so that it takes no more memory for more parts
        of the same items.
        """
        held: list[Self] = []  # the sum of those that came first, then those that came since
        for part in parts:
            held.append(part)
            if sum(one.size for one in held[1:]) > HELD * held[0].size:
                held = [cls.of_all(held)]
        return cls.of_all(held)

    @property
    def size(self) -> int:
        """How many counts there are."""
        return len(self.item) + len(self.first) + len(self.same) + len(self.scores)

    @classmethod
    def of_all(cls, parts: list[Self]) -> Self:
        """Of parts that follow each other."""
        ends = [part.ends for part in parts if part.ends is not None]
        overlaps = sum(not pc.less(one[1], other[0]).as_py() for one, other in pairwise(ends))
        broken = {kind: sum(part.broken[kind] for part in parts) for kind in BROKEN}
        return cls(
            users={name: sum(part.users[name] for part in parts) for name in SOURCES},
            rows=sum(part.rows for part in parts),
            flat=sum(part.flat for part in parts),
            broken={**broken, BROKEN[0]: broken[BROKEN[0]] + overlaps},
            item=added(part.item for part in parts),
            first=added(part.first for part in parts),
            same=added(part.same for part in parts),
            scores=added(part.scores for part in parts),
            sample=pa.concat_tables([part.sample for part in parts], promote_options="permissive"),
            ends=(ends[0][0], ends[-1][1]) if ends else None,
        )

    def audit(self) -> Audit:
        """The sums as figures for the manifest."""
        lists = max(sum(self.users.values()), 1)
        return Audit(
            broken={kind: count for kind, count in self.broken.items() if count},
            items=len(self.item),
            first_item=round(float(self.first.max()) / lists, 6) if len(self.first) else 0.0,
            same_list=round(float(self.same.max()) / max(self.users[SOURCES[0]], 1), 6) if len(self.same) else 0.0,
            flat_lists=round(self.flat / lists, 6),
        )

    def with_broken(self, more: dict[str, int]) -> Self:
        """With promises that the parts alone cannot tell of."""
        return self._replace(broken={**self.broken, **more})


class Found(NamedTuple):
    """What `one_pass` found in B lists of I items."""

    broken: Int64  # [4]
    times: Int64  # [I + 1] how many rows hold each item; the last for those without any
    level: Bool  # [B]
    hashed: UInt64  # [B] the same list has the same number in every part


class Lists(NamedTuple):
    """Some rows of a part as arrays; R rows of B lists."""

    user: pa.Array  # [B] int64 or large_string
    source: npt.NDArray[np.object_]  # [B]
    start: Int64  # [B] where each list begins
    item: Int32  # [R] places in `items`, I where there is none
    items: pa.Array  # [I] int64 or large_string
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
        item = coded(table["item_id"])
        items = len(item.dictionary)
        return cls(
            user=whole(user.take(pa.array(start))),
            source=whole(table["source"].take(pa.array(start))).to_numpy(zero_copy_only=False),
            start=start,
            item=(item.indices.fill_null(items) if item.null_count else item.indices).to_numpy(),
            items=comparable(item.dictionary),
            rank=table["rank"].to_numpy(),
            score=table["score"].to_numpy(),
            missing=sum(column.null_count for column in table.columns),
        )

    @property
    def size(self) -> Int64:
        """How long each list is, [B]."""
        return np.diff(np.append(self.start, len(self.score)))

    def rows(self, row: Int64) -> pa.Table:
        """The users and items of some rows."""
        owner = np.searchsorted(self.start, row, side="right") - 1
        item = pa.array(self.item[row], mask=self.item[row] == len(self.items))
        return pa.table({"user_id": self.user.take(pa.array(owner)), "item_id": self.items.take(item)})

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


def counted(hashed: UInt64, times: Int64) -> pd.Series:
    """How often each of I items occurs, if it does, by its hash; [I + 1] each, the last for rows without any."""
    there = np.flatnonzero(times[:-1])
    return pd.Series(times[there], index=hashed[there])


def hashes(ids: pa.Array) -> UInt64:
    """A number for each id, uint64 [n], the same on every night and machine."""
    return pd.util.hash_array(comparable(ids).to_numpy(zero_copy_only=False), categorize=False)


def one_in(step: int) -> Keep:
    """A sample of users that is the same on both of two nights: those whose hash is a multiple of `step`."""
    return lambda hashed: hashed % np.uint64(step) == 0


def step_for(users: int) -> int:
    """Of how many users one is in the sample."""
    return max(1, users // SAMPLE)


def added(series: Iterable[pd.Series]) -> pd.Series:
    """Counts of parts as one."""
    every = pd.concat(list(series))
    return every.groupby(level=0, sort=False).sum()


def overlap(one: pa.Table, other: pa.Table) -> float | None:
    """Of the items of the users in both samples, the share that is in both lists; None where no user is in both."""
    one, other = (frame(table) for table in (one, other))
    one, other = one[one.user.isin(other.user)], other[other.user.isin(one.user)]
    if one.empty:
        return None
    return len(one.merge(other, on=["user", "item"])) / max(len(one), len(other))


def frame(sample: pa.Table) -> pd.DataFrame:
    """Hashes of users and items, uint64."""
    columns = {}
    for name in ("user", "item"):
        coded = pc.dictionary_encode(sample[f"{name}_id"]).combine_chunks()
        columns[name] = hashes(coded.dictionary)[coded.indices.to_numpy()]
    return pd.DataFrame(columns)
