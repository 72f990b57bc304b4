"""The engine for items to whose score something is added for one user alone, such as what the user has bought before.

    score = the head's in float64, by definition.py, + term, a float32 widened to float64

Such pairs are few. They are scored by the definition and hidden from the scan, which finds the best of the others.
"""

from typing import final

import numpy as np
from torch import Tensor

from rec_export.topk.best import Best
from rec_export.topk.contract import Added, Allowed, Int64, Seen, TopK, portions
from rec_export.topk.own_items import PAIRS, OwnItems
from rec_export.towers import Head


@final
class AddedItems:
    """Exact: the pairs are scored by the definition itself."""

    def __init__(self, head: Head, item_vec: Tensor) -> None:
        """item_vec float32 [N, D]."""
        self._own, self._items = OwnItems(head, item_vec), len(item_vec)

    def all(self, user_vec: Tensor, added: Added, seen: Seen, allowed: Allowed | None) -> TopK:
        """float32 [B, D] -> every eligible item that something is added to, in lists as long as the longest."""
        mine = self._eligible(added, seen, allowed)
        longest = int(np.diff(mine.items.start).max(initial=0))
        return self._offered(Best(len(user_vec), longest), user_vec, mine)

    def among(self, others: TopK, user_vec: Tensor, added: Added, seen: Seen, allowed: Allowed | None) -> TopK:
        """The lists of all other items -> those of all items."""
        best = Best(*others.item_row.shape)
        best.top.put(np.arange(len(user_vec)), others)
        return self._offered(best, user_vec, self._eligible(added, seen, allowed))

    def _offered(self, best: Best, user_vec: Tensor, added: Added) -> TopK:
        for user in portions(np.diff(added.items.start), PAIRS):
            some = added.take(user)
            score = self._own.scores(user_vec[user], some.items) + some.term
            best.offer(user, some.items.start, some.items.item_row, score)
        return best.top

    def _eligible(self, added: Added, seen: Seen, allowed: Allowed | None) -> Added:
        user = added.items.user()
        pair = user * self._items + added.items.item_row
        there = ~np.isin(pair, self._pairs(seen))
        if allowed is not None:
            there &= ~allowed.restricted[user] | np.isin(pair, self._pairs(allowed.items))
        return added.where(there)

    def _pairs(self, lists: Seen) -> Int64:
        return lists.user() * self._items + lists.item_row
