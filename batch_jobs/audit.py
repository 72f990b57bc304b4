"""What the lists of a run look like, read back from its parts: sums for each part that add up over all of them.

The gates judge these, and `verify-run` repeats them. Nothing of the run that made the parts is used, so what is
checked is what readers will get.
"""

from collections.abc import Callable, Iterable
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
from rec_export.data.columns import Bool, Int64, comparable, whole
from rec_export.errors import DataError
from rec_export.run_manifest import SOURCES, Audit

SAMPLE = 10_000  # users, about, whose lists are compared with yesterday's
BROKEN = (
    "users out of order",  # also a user who stands in two places
    "ranks not 1, 2, 3, ...",
    "items twice in a list",
    "scores that are not finite",
    "scores that rise",
    "missing values",
)
UInt64 = npt.NDArray[np.uint64]
Int32 = npt.NDArray[np.int32]
Keep = Callable[[UInt64], npt.NDArray[np.bool_]]


class Evidence(NamedTuple):
    """What is counted of some parts; `together` adds it up."""

    users: dict[str, int]  # with a list, by source
    rows: int
    flat: int  # lists of several items with one and the same score
    broken: dict[str, int]
    item: pd.Series  # item_id -> lists that hold it
    first: pd.Series  # item_id -> lists that begin with it
    same: pd.Series  # hash of a list by the model -> how often
    scores: pd.Series  # bin of a score by the model (drift.py) -> rows
    sample: pa.Table  # user_id, item_id of some users
    ends: tuple[pa.Scalar, pa.Scalar] | None  # the first and the last user

    @classmethod
    def of(cls, path: Path, keep: Keep) -> Self:
        """Of one part, with its page checksums verified; `keep` chooses the users of the sample by hashes of their ids.

        Raises DataError where the file cannot be read.
        """
        lists = Lists.read(path)
        start, size, found = lists.start, lists.size, lists.looked_at()
        source = lists.table["source"].combine_chunks().take(pa.array(start)).cast(pa.string())
        source = source.to_numpy(zero_copy_only=False)
        user = lists.user.take(pa.array(start))
        mine = pa.array(np.repeat(keep(hashes(user)), size))
        return cls(
            users={name: int((source == name).sum()) for name in SOURCES},
            rows=len(lists.score),
            flat=int((found.level & (size > 1)).sum()),
            broken=lists.broken(found),
            item=lists.counts(lists.item),
            first=lists.counts(lists.item[start]),
            same=pd.Series(found.hashed[source == SOURCES[0]]).value_counts(),
            scores=score_counts(lists.score[np.repeat(source == SOURCES[0], size)]),
            sample=lists.table.select(["user_id", "item_id"]).filter(mine),
            ends=(user[0], user[-1]) if len(user) else None,
        )

    @classmethod
    def together(cls, parts: Iterable["Evidence"]) -> "Evidence":
        """Of all parts, in their order."""
        parts = list(parts)
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
    """What `one_pass` found in B lists."""

    broken: Int64  # [4]
    level: Bool  # [B]
    hashed: UInt64  # [B] the same list has the same number in every part


class Lists(NamedTuple):
    """A part's columns as arrays; R rows of B lists."""

    table: pa.Table
    user: pa.Array  # [R] int64 or large_string
    item: Int32  # [R] places in `items`, beyond its end where there is none
    items: pa.Array
    rank: npt.NDArray[np.int16]  # [R]
    score: npt.NDArray[np.float32]  # [R]
    start: Int64  # [B] where each list begins

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a part. Raises DataError where it is damaged, cut off or something else."""
        try:
            table = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=["source"]).read()
            user = whole(table["user_id"])
            coded = pc.dictionary_encode(table["item_id"]).combine_chunks()
            rank, score = table["rank"].to_numpy(), table["score"].to_numpy()
        except (OSError, KeyError, pa.ArrowException) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{path} cannot be read, it is damaged or no part of a run: {said}") from error
        changes = pc.not_equal(user[1:], user[:-1]).to_numpy(zero_copy_only=False)
        start = np.concatenate([[0], np.flatnonzero(changes) + 1])[: len(user)].astype(np.int64)
        item = pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()
        return cls(table, user, item, coded.dictionary, rank, score, start)

    @property
    def size(self) -> Int64:
        """How long each list is, [B]."""
        return np.diff(np.append(self.start, len(self.score)))

    def looked_at(self) -> Found:
        """What there is in the rows."""
        size = self.size
        weight = np.random.default_rng(0).integers(0, 2**64, int(size.max(initial=0)), np.uint64) | np.uint64(1)
        known = np.append(hashes(self.items), np.uint64(0))
        found = Found(np.zeros(4, np.int64), np.zeros(len(size), np.bool_), np.zeros(len(size), np.uint64))
        one_pass(np.append(self.start, len(self.score)), self.item, self.rank, self.score, known, weight, *found)
        return found

    def broken(self, found: Found) -> dict[str, int]:
        """How often each promise is broken."""
        user = self.user.take(pa.array(self.start))
        unsorted = pc.sum(pc.less_equal(user[1:], user[:-1])).as_py() or 0
        missing = sum(column.null_count for column in self.table.columns)
        counted = unsorted, *found.broken.tolist(), missing
        return {kind: int(count) for kind, count in zip(BROKEN, counted, strict=True)}

    def counts(self, item: Int32) -> pd.Series:
        """How often each of some items, places in `items`, occurs; by its id."""
        times = np.bincount(item, minlength=len(self.items))[: len(self.items)]
        there = np.flatnonzero(times)
        return pd.Series(times[there], index=self.items.take(pa.array(there)).to_numpy(zero_copy_only=False))


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
    return every.groupby(level=0).sum()


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
