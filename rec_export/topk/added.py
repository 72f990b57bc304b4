"""The engine for items to whose score something is added for one user alone, such as what the user has bought before.

    score = the head's in float64, by definition.py, + term, a float32 widened to float64

Such pairs are few. They are scored by the definition and hidden from the scan, which finds the best of the others.
"""

from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.best import Best
from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Added, Allowed, Bool, Int64, Seen, TopK, portions
from rec_export.topk.own_items import PAIRS, OwnItems
from rec_export.topk.switches import side_by_side
from rec_export.towers import Head


@final
class AddedItems:
    """Exact: the pairs are scored by the definition itself."""

    def __init__(self, head: Head, item_vec: Tensor) -> None:
        """item_vec float32 [N, D]."""
        self._own, self._items = OwnItems(head, item_vec), len(item_vec)

    def best(self, user_vec: Tensor, k: int, added: Added, seen: Seen, allowed: Allowed | None) -> TopK:
        """float32 [B, D] -> the best k of the eligible items that something is added to."""
        return self._offered(Best(len(user_vec), k), user_vec, self._eligible(added, seen, allowed))

    def among(self, others: TopK, user_vec: Tensor, added: Added, seen: Seen, allowed: Allowed | None) -> TopK:
        """The lists of all other items -> those of all items."""
        best = Best(*others.item_row.shape)
        best.top.put(np.arange(len(user_vec)), others)
        return self._offered(best, user_vec, self._eligible(added, seen, allowed))

    def _offered(self, best: Best, user_vec: Tensor, added: Added) -> TopK:
        size, threads = np.diff(added.items.start), torch.get_num_threads()
        some = np.flatnonzero(size)

        def offer(portion: Int64) -> None:
            user = some[portion]
            mine = added.take(user)
            score = self._own.scores(user_vec[user], mine.items) + mine.term
            best.offer(user, mine.items.start, mine.items.item_row, score)

        side_by_side(offer, portions(size[some], min(PAIRS, int(size.sum()) // threads + 1)), threads)
        return best.top

    def _eligible(self, added: Added, seen: Seen, allowed: Allowed | None) -> Added:
        there = ~_named(*added.items, *seen, self._items)
        if allowed is not None:
            own = _named(*added.items, *allowed.items, self._items)
            there &= own | ~allowed.restricted[added.items.user()]
        return added.where(there)


@compiled
def _named(start: Int64, item_row: Int64, other_start: Int64, other_row: Int64, items: int) -> Bool:
    """Which items of the users are among others of theirs, bool [nnz]; both as in Seen, of N items."""
    found, other = np.zeros(len(item_row), np.bool_), np.zeros(items, np.bool_)
    for user in range(len(start) - 1):
        own, others = slice(start[user], start[user + 1]), other_row[other_start[user] : other_start[user + 1]]
        if own.start < own.stop:
            other[others] = True
            found[own] = other[item_row[own]]
            other[others] = False
    return found
