"""What users choose again and again: the baseline of lists that may hold what a user has met."""

import numpy as np

from rec_export.data.columns import Float32, Int64
from rec_export.data.log import Log
from rec_export.data.vocab import UNKNOWN
from rec_export.topk import Seen
from trainers.listers import Lister


def habits(log: Log, users: int, popular: Float32) -> Seen:
    """What each user has liked, the most often first, then the newest, then the most popular: float32 [N]."""
    items = len(popular)
    liked = np.flatnonzero(log.positive)
    key = log.pairs(items)[liked]
    order = np.argsort(key, kind="stable")
    pair, first, count = np.unique(key[order], return_index=True, return_counts=True)
    last = liked[order[first + count - 1]]
    newest = np.zeros(len(pair), np.int64) if log.time is None else log.time[last]
    best = np.lexsort((-popular[pair % items], -newest, -count, pair // items))
    return Seen.of(pair[best] // items, pair[best] % items, users)


def by_habit(own: Seen, others: Lister) -> Lister:
    """A user's own habits, and after them the items of other lists."""

    def lists(user: Int64, k: int) -> Int64:
        found = np.full((len(user), k), UNKNOWN)
        for mine, whose, theirs in zip(found, user, others.lists(user, k), strict=True):
            habit = own.item_row[own.start[whose] : own.start[whose + 1]]
            both = np.concatenate([habit, theirs[~np.isin(theirs, habit)]])[:k]
            mine[: len(both)] = both
        return found

    return Lister(lists)
