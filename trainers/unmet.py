"""What a user has not met, item by item, without a list of it: a catalogue may have a million items."""

import numpy as np

from rec_export.data.columns import Int64
from rec_export.sets import distinct


def unmet(met: Int64, place: Int64) -> Int64:
    """The items at some places, int64 [n] from 0, among all items but those that were `met`, int64 [m] in any order.

    Before the j-th met item m_j lie m_j - j others, so the one at place p is p plus the number of j with m_j - j <= p.
    """
    once = distinct(met)
    return place + np.searchsorted(once - np.arange(len(once)), place, "right")
