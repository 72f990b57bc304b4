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

from batch_jobs.drift import score_counts
from batch_jobs.part_lists import BROKEN, PartRows, UInt64
from batch_jobs.parts import MODEL
from rec_export.data.columns import Int64, comparable
from rec_export.run_manifest import SOURCES, Audit

SAMPLE = 10_000  # users, about, whose lists are compared with yesterday's
HELD = 4  # times as many counts of single parts as of their sum, when they are added up
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
        return cls.together(cls.of_lists(lists, keep) for lists in PartRows.read(path))

    @classmethod
    def of_lists(cls, lists: "PartRows", keep: Keep) -> Self:
        """Of some lists of a part."""
        size, hashed = lists.size, np.append(hashes(lists.items), np.uint64(0))
        found = lists.looked_at(hashed)
        by_model = lists.source == MODEL
        many = np.bincount(lists.source[lists.source >= 0], minlength=len(SOURCES))
        return cls(
            users=dict(zip(SOURCES, many.tolist(), strict=True)),
            rows=len(lists.score),
            flat=int((found.level & (size > 1)).sum()),
            broken=lists.broken(found),
            item=counted(hashed, found.times),
            first=counted(hashed, np.bincount(lists.item[lists.start], minlength=len(hashed))),
            same=times_of(found.hashed[by_model]),
            scores=score_counts(lists.score if by_model.all() else lists.score[np.repeat(by_model, size)]),
            sample=lists.rows(np.flatnonzero(keep(hashes(lists.user)))),
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
        return held[0] if len(held) == 1 else cls.of_all(held)

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


def times_of(number: UInt64) -> pd.Series:
    """How often each number is there."""
    once, times = np.unique(number, return_counts=True)
    return pd.Series(times, index=once)


def added(series: Iterable[pd.Series]) -> pd.Series:
    """Counts of parts as one."""
    every = pd.concat(list(series))
    order = np.argsort(every.index.to_numpy())
    number = every.index.to_numpy()[order]
    first = np.flatnonzero(np.append(True, number[1:] != number[:-1])[: len(number)])
    times = np.add.reduceat(every.to_numpy()[order], first) if len(first) else every.to_numpy()
    return pd.Series(times, index=number[first])


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
