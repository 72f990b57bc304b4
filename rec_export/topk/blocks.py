"""The engine for a head of an unknown family: nothing bounds its error, so it runs in float64 itself, on every pair.

Its definition of a score is: the head as a float64 module, in eval mode, on one thread, called with one user and one
block of ITEMS items, the one that starts at a multiple of ITEMS; zeros follow the last item. Every call has the same
shape and an item always has the same place, so torch adds in the same order whatever the batch, the tile or the
threads. The last bit may differ on another processor, another device or another release of torch.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.best import Best
from rec_export.topk.contract import Float64, Seen, TopK
from rec_export.topk.finite import check_scores
from rec_export.topk.switches import one_thread
from rec_export.towers import Head

ITEMS = 2048


@final
class BlockEngine:
    """Slow and sure: some thousand calls of the head for a thousand users."""

    def __init__(self, head: Head, item_vec: Tensor) -> None:
        """item_vec float32 [N, D], on the device to use."""
        self._head = deepcopy(head).double().eval().to(item_vec.device)
        self._items = len(item_vec)
        padding = -len(item_vec) % ITEMS
        self._item_vec = torch.nn.functional.pad(item_vec.double(), (0, 0, 0, padding))

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        best = Best(len(user_vec), k)
        for user, score in enumerate(self.scores(user_vec)):
            eligible = np.ones(self._items, np.bool_)
            eligible[seen.take(np.array([user])).item_row] = False
            row = np.flatnonzero(eligible)
            best.offer(np.array([user]), np.array([0, len(row)]), row, score[row])
        return best.top

    @torch.no_grad()
    def scores(self, user_vec: Tensor) -> Iterator[Float64]:
        """float32 [B, D] -> float64 [N], once for each user."""
        for user in user_vec.to(self._item_vec.device).double():
            with one_thread():
                blocks = [self._head(user[None].clone(), items)[0] for items in self._item_vec.split(ITEMS)]
            score: Float64 = torch.cat([*blocks, user.new_zeros(0)])[: self._items].cpu().numpy()
            check_scores(score)
            yield score
