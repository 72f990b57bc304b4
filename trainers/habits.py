"""What users choose again and again: the baseline of lists that may hold what a user has met."""

import numpy as np

from rec_export.data.clock import Clock
from rec_export.data.columns import Float32, Int64
from rec_export.data.vocab import UNKNOWN
from rec_export.habit import Again
from rec_export.topk import Seen
from rec_export.world import Timeline, World
from trainers.listers import Lister


def habits(timeline: Timeline, popular: Float32) -> Seen:
    """What each user has liked, in the order of `ordered`."""
    again = everything(timeline).again(np.arange(len(timeline.start) - 1))
    return again.items._replace(item_row=again.items.item_row[ordered(again, popular)])


def everything(timeline: Timeline) -> World:
    """The world at the end of a log, in which times count where there are any, whether a model looks at them or not."""
    return timeline.as_of(None, Clock() if timeline.time is None else Clock(half_lives=(1.0,)))


def ordered(again: Again, popular: Float32) -> Int64:
    """The places of what users have liked, of each the most often first, then the newest, then the most popular.

    popular float32 [N]; int64 [pairs].
    """
    return np.lexsort((-popular[again.items.item_row], again.days, -again.times, again.items.user()))


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
