"""From what a search has left to lists: the definition decides among it, and the tiles serve the other users."""

from collections.abc import Callable
from math import ceil
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.best import Best
from rec_export.topk.contract import Bool, Float32, Int64, Seen, TopK
from rec_export.topk.judge import Judge
from rec_export.topk.switches import side_by_side
from rec_export.topk.tiles import TileEngine

TOGETHER = 384  # users: their codes and what they hold should stay in a cache


class Candidates(NamedTuple):
    """What may be in the lists of b users: start int64 [b + 1], row int64 [pairs], as in Seen.

    full bool [b]: too many of them to hold; such a user has none here.
    """

    full: Bool
    start: Int64
    row: Int64

    @classmethod
    def none(cls, users: int) -> "Candidates":
        """Nobody was searched for."""
        return cls(np.ones(users, np.bool_), np.zeros(users + 1, np.int64), np.zeros(0, np.int64))


@final
class Decided:
    """Exact lists, whichever users come together, if a search leaves out nothing that a list holds."""

    def __init__(self, judge: Judge, tiles: TileEngine) -> None:
        """`tiles` serve whom a search does not."""
        self._judge, self._tiles = judge, tiles

    def lists(
        self, user_vec: Tensor, k: int, seen: Seen, search: Callable[[Float32, Seen], Candidates], most: int
    ) -> TopK:
        """float32 [B, D] -> B lists. `search` is for users float32 [b, D], `most` at once."""
        best, left = Best(len(user_vec), k), np.zeros(len(user_vec), np.bool_)
        vec: Float32 = user_vec.cpu().contiguous().numpy()
        threads = torch.get_num_threads()
        step = max(1, min(TOGETHER, most, ceil(len(vec) / threads)))

        def settle(user: Int64) -> None:
            left[user], start, row = search(vec[user], seen.take(user))
            self._judge.offer(best, user, vec[user], start, row)

        side_by_side(settle, np.split(np.arange(len(vec)), range(step, len(vec), step)), threads)
        if left.any():
            rest = np.flatnonzero(left)
            best.top.put(rest, self._tiles.top_k(user_vec[torch.from_numpy(rest)], k, seen.take(rest)))
        return best.top
