"""The best K of some items for users, some of whom may get nothing but items on lists of their own."""

from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.approximate import ApproximateRanker
from rec_export.topk.contract import Allowed, Seen, TopK
from rec_export.topk.own_items import OwnItems
from rec_export.topk.ranker import Ranker
from rec_export.towers import Head


@final
class AllowedRanker:
    """A ranker of all the items, beside an engine for the users with such lists."""

    def __init__(self, ranker: Ranker | ApproximateRanker, head: Head, item_vec: Tensor) -> None:
        """item_vec float32 [N, Di]: those of the ranker."""
        self._ranker, self._head, self._item_vec = ranker, head, item_vec

    def top_k(self, user_vec: Tensor, k: int, seen: Seen, allowed: Allowed | None) -> TopK:
        """float32 [B, Du] -> B lists."""
        if allowed is None or not allowed.restricted.any():
            return self._ranker.top_k(user_vec, k, seen)
        top = TopK.none(len(user_vec), k)
        free, bound = (np.flatnonzero(which) for which in (~allowed.restricted, allowed.restricted))
        top.put(free, self._ranker.top_k(user_vec[torch.from_numpy(free)], k, seen.take(free)))
        top.put(
            bound, self._own.top_k(user_vec[torch.from_numpy(bound)], k, allowed.items.take(bound), seen.take(bound))
        )
        return top

    @cached_property
    def _own(self) -> OwnItems:
        return OwnItems(self._head, self._item_vec)
