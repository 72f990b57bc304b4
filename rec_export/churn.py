"""How two runs of lists differ: how much of each user's list stayed, which items came and went, how scores moved."""

from typing import NamedTuple, Self, final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from rec_export.data.columns import Bool, Float32, Int64
from rec_export.metrics import Float64
from rec_export.progress import in_parts, passed
from rec_export.record import Record
from rec_export.run_lists import Pair, Run, RunRows, coded
from rec_export.run_manifest import SOURCES
from rec_export.sets import distinct, in_both, without

PERSISTENCE = 0.9  # p of rank-biased overlap: the first ten places have 86% of the weight
SHOWN = 15  # items that enter and leave most
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class Likeness(NamedTuple):
    """How alike the two lists of each user in both runs are."""

    user: Int64  # [U] places of ids
    source: tuple[Int64, Int64]  # [U] before, after
    overlap: Float64  # [U] items that are in both lists, by the longer list
    rbo: Float64  # [U]
    same: Bool  # [U] the same items in the same order

    @classmethod
    def of(cls, pair: Pair) -> Self:
        """Rank-biased overlap, extrapolated: Webber, Moffat and Zobel 2010, A Similarity Measure for Indefinite
        Rankings (ACM TOIS 28), equation 32, with the agreement of lists of two lengths after their equation 28.
        """
        both = in_both(pair.before.user, pair.after.user)
        one, other = (frame(lists, both) for lists in (pair.before, pair.after))
        deepest = int(max(one["rank"].max(), other["rank"].max(), 1)) if len(both) else 1
        size = [np.bincount(table["user"], minlength=len(both)) for table in (one, other)]
        met = one.merge(other, on=["user", "item"])
        depth = np.maximum(met["rank_x"].to_numpy(), met["rank_y"].to_numpy())
        at = np.bincount(met["user"].to_numpy() * deepest + depth - 1, minlength=len(both) * deepest)
        common = np.cumsum(at.reshape(len(both), deepest), axis=1)
        places = np.arange(1, deepest + 1)
        lengths = sum(np.minimum(places, n[:, None]) for n in size)
        agreement = 2 * common / np.maximum(lengths, 1)
        longest = np.maximum(size[0], size[1])
        weight = PERSISTENCE**places * (places <= longest[:, None])
        last = agreement[np.arange(len(both)), np.maximum(longest, 1) - 1]
        moved = (met["rank_x"] != met["rank_y"]).to_numpy()
        stayed = np.bincount(met["user"].to_numpy(), ~moved, len(both))
        return cls(
            user=both,
            source=(first_source(pair.before, both), first_source(pair.after, both)),
            overlap=common[:, -1] / np.maximum(longest, 1),
            rbo=last * PERSISTENCE**longest + (1 - PERSISTENCE) / PERSISTENCE * (agreement * weight).sum(1),
            same=(stayed == size[0]) & (stayed == size[1]),
        )


def frame(lists: RunRows, users: Int64) -> pd.DataFrame:
    """The rows of some users, numbered by their place in `users`, which are sorted."""
    kept = np.isin(lists.user, users)
    user = np.searchsorted(users, lists.user[kept])
    return pd.DataFrame({"user": user, "item": lists.item[kept], "rank": lists.rank[kept]})


def first_source(lists: RunRows, users: Int64) -> Int64:
    """The source of each user's list, int64 [U]."""
    user, first = np.unique(lists.user, return_index=True)
    return lists.source[first[np.searchsorted(user, users)]]


@final
class Segment(Record):
    """Users of one kind, and how alike their lists are."""

    users: int
    overlap: float  # mean share of a list that is in the other
    rbo: float  # mean rank-biased overlap
    same: float  # share of users whose lists are one and the same

    @classmethod
    def measured(cls, likeness: Likeness, kept: Bool) -> Self:
        """The means over the users that are kept, bool [U]."""
        means = (likeness.overlap[kept], likeness.rbo[kept], likeness.same[kept])
        overlap, rbo, same = (round(float(values.mean()), 4) if len(values) else 0.0 for values in means)
        return cls(users=int(kept.sum()), overlap=overlap, rbo=rbo, same=same)


@final
class Moved(Record):
    """An item, and in which share of the lists it was and is."""

    item: str | int
    before: float
    after: float


@final
class Churn(Record):
    """What differs between two runs."""

    before: str
    after: str
    k: tuple[int, int]
    sampled: bool  # whether users are a sample, the same of both runs
    both: int  # users in both runs
    left: int  # users in the first alone
    came: int  # users in the second alone
    items: tuple[int, int]  # different items listed in each
    rules: tuple[str | None, str | None]  # what the business rules of each left out
    first: tuple[Moved, ...]  # the items that begin most lists, before and after, with their share of the lists
    segments: dict[str, Segment]  # users in both: all, by source (before -> after where it changed), by others' kinds
    entering: tuple[Moved, ...]  # the items whose share of the lists grew most
    leaving: tuple[Moved, ...]
    levels: tuple[float, ...]
    scores: tuple[tuple[float, ...], tuple[float, ...]]  # quantiles of all scores at the levels, before and after; or
    # nothing, of a run without rows
    psi: float | None  # population stability index of the scores, over tenths of those before; None: nothing to compare

    def moved(self) -> str:
        """How far scores moved, by the usual marks of the index."""
        if self.psi is None:
            return "cannot be compared, as one of the runs has no rows"
        return "hardly moved" if self.psi < 0.1 else "moved somewhat" if self.psi < 0.25 else "moved much"


@in_parts("comparing the lists", 3)
def churn(before: Run, after: Run, kinds: dict[str, pa.Array] | None = None) -> Churn:
    """Compare two runs. `kinds`: ids of further segments of users, such as those with short histories."""
    pair = Pair.of(before, after)
    passed()
    likeness = Likeness.of(pair)
    passed()
    entering, leaving = moved(pair)
    ks = [
        run.manifest.k if run.manifest else int(lists.rank.max(initial=0))
        for run, lists in zip((before, after), pair, strict=False)
    ]
    return Churn(
        before=before.label,
        after=after.label,
        k=(ks[0], ks[1]),
        sampled=not pair.whole,
        both=len(likeness.user),
        left=len(without(pair.before.user, pair.after.user)),
        came=len(without(pair.after.user, pair.before.user)),
        items=(len(distinct(pair.before.item)), len(distinct(pair.after.item))),
        rules=(rules_of(before), rules_of(after)),
        first=beginning(pair),
        segments=segments(pair, likeness, kinds or {}),
        entering=entering,
        leaving=leaving,
        levels=LEVELS,
        scores=(quantiles(pair.before.score), quantiles(pair.after.score)),
        psi=psi(pair.before.score, pair.after.score),
    )


def beginning(pair: Pair) -> tuple[Moved, ...]:
    """The item that begins most lists before, and the one after, if that is another: shares of lists."""
    counts = [np.bincount(one.item[one.rank == 1], minlength=len(pair.items)) for one in (pair.before, pair.after)]
    before, after = (count / max(int(count.sum()), 1) for count in counts)
    most = dict.fromkeys(int(count.argmax()) for count in counts if len(count))
    return tuple(
        Moved(item=pair.items[item].as_py(), before=round(float(before[item]), 4), after=round(float(after[item]), 4))
        for item in most
    )


def rules_of(run: Run) -> str | None:
    """What the business rules of a run left out, where it has a manifest and rules."""
    return None if run.manifest is None else run.manifest.rules_in_words()


def segments(pair: Pair, likeness: Likeness, kinds: dict[str, pa.Array]) -> dict[str, Segment]:
    """All users in both runs, those of each source, and those of other kinds; kinds that hold nobody are left out."""
    was, now = likeness.source
    found = {"all": np.ones(len(was), bool)}
    for n, name in enumerate(SOURCES):
        found[name] = (was == n) & (now == n)
        found |= {f"{name} -> {other}": (was == n) & (now == m) for m, other in enumerate(SOURCES) if m != n}
    ids = pair.users.take(pa.array(likeness.user))
    for name, members in kinds.items():
        both = coded([pa.chunked_array([ids]), pa.chunked_array([members])]).places
        found[name] = np.isin(both[0], both[1])
    return {name: Segment.measured(likeness, kept) for name, kept in found.items() if name == "all" or kept.any()}


def moved(pair: Pair) -> tuple[tuple[Moved, ...], tuple[Moved, ...]]:
    """The items whose share of the lists grew most, and those whose share fell most; of users in both runs."""
    both = in_both(pair.before.user, pair.after.user)
    shares = []
    for lists in (pair.before, pair.after):
        counts = np.bincount(lists.item[np.isin(lists.user, both)], minlength=len(pair.items))
        shares.append(counts / max(len(both), 1))
    change = shares[1] - shares[0]
    order = np.argsort(-change, kind="stable")

    def told(places: Int64) -> tuple[Moved, ...]:
        return tuple(
            Moved(
                item=pair.items[int(n)].as_py(),
                before=round(float(shares[0][n]), 5),
                after=round(float(shares[1][n]), 5),
            )
            for n in places
        )

    grew, fell = order[:SHOWN], order[::-1][:SHOWN]
    return told(grew[change[grew] > 0]), told(fell[change[fell] < 0])


def quantiles(score: Float32) -> tuple[float, ...]:
    """The quantiles of scores at LEVELS."""
    return tuple(round(float(value), 5) for value in np.quantile(score, LEVELS)) if len(score) else ()


def psi(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float | None:
    """sum (p - q) log(p / q) over ten bins that each hold a tenth of the scores before; 0 is no change.

    None where there is nothing to compare.
    """
    if len(before) == 0 or len(after) == 0:
        return None
    inner = np.unique(np.quantile(before, np.arange(1, 10) / 10))
    shares = [
        np.bincount(np.searchsorted(inner, some, side="right"), minlength=len(inner) + 1) for some in (before, after)
    ]
    p, q = (np.maximum(counts / counts.sum(), 1e-4) for counts in shares)
    return round(float(((p - q) * np.log(p / q)).sum()), 4)
