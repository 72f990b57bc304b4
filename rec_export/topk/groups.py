"""The engine for a GPU: the largest coarse score of each group of items is all that is kept of a tile.

For each user, with s the K-th best of the groups' largest scores and e the bound on a coarse score: K groups, so K
items, have coarse scores of s or more, hence scores of s - e or more. So whatever the list holds has a coarse score of
s - 2 e or more, and lies in a group whose largest is. The items of those groups, more than K groups, get float32
scores, which leave few more than K items for the definition, as in tiles.py.

Nothing is sorted but the groups' maxima, a 32nd of the scores. A user with too many groups to look at, as with heavy
ties, or for whom nothing bounds the error, is left to the tiles. How many users come together is planned from the free
memory, and halved where that runs out all the same: no result depends on it.
"""

from collections.abc import Callable
from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.errors import DeviceError
from rec_export.topk.best import Best
from rec_export.topk.bound import Bound
from rec_export.topk.contract import Int64, Seen, TopK
from rec_export.topk.form import Form
from rec_export.topk.judge import Judge
from rec_export.topk.maxima import Maxima
from rec_export.topk.single import SingleScores
from rec_export.topk.switches import whole_float32
from rec_export.topk.tiles import Chunk, TileEngine, chunk_of, rounded_down

SLACK = 32  # groups looked at beyond 2 K
MOST_USERS = 1 << 13
SHARE = 0.25  # of the free memory


def free_bytes(device: torch.device) -> int:
    """What may be had on the device; of a CPU's memory always the same, which is enough."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 1 << 30


def looked_at(k: int) -> int:
    """How many groups of a user: coarse scores of Gaussian vectors leave some 1.7 K."""
    return 2 * k + SLACK


@final
class GroupEngine:
    """Exact whatever the tile, the group and the users that come together."""

    def __init__(
        self,
        form: Form,
        item_vec: Tensor,
        tiles: TileEngine,
        maxima: Maxima,
        free: Callable[[torch.device], int] = free_bytes,
    ) -> None:
        """item_vec float32 [N, D], contiguous, on the device to use; `tiles` serve whom this does not."""
        self._form, self._tiles, self._maxima, self._free = form, tiles, maxima, free
        self.way = maxima.name
        self._single, self._bound = SingleScores(form, item_vec), Bound(form, item_vec)
        self._items, self._device = len(item_vec), item_vec.device
        self._judge, self._width = Judge(form, item_vec), item_vec.shape[1]

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        if -(-self._items // self._maxima.group) < 2 * looked_at(k):
            return self._tiles.top_k(user_vec, k, seen)
        best, left = Best(len(user_vec), k), np.zeros(len(user_vec), np.bool_)
        at, step = 0, self._users(k)
        with whole_float32():
            while at < len(user_vec):
                user = np.arange(at, min(at + step, len(user_vec)))
                try:
                    left[user] = self._settle(best, chunk_of(user_vec, seen, user, self._device), k)
                    at += step
                except torch.OutOfMemoryError as error:
                    step = self._fewer(step, error)
        if left.any():
            rest = np.flatnonzero(left)
            best.top.put(rest, self._tiles.top_k(user_vec[torch.from_numpy(rest)], k, seen.take(rest)))
        return best.top

    def _users(self, k: int) -> int:
        """How many users to take at once: by what each needs, in bytes, at the worst of its moments."""
        width = max([self._width, *(len(layer.bias) for layer in self._form.tail)])
        each = 24 * (self._items // self._maxima.group) + self._maxima.bytes_each()
        pairs = looked_at(k) * self._maxima.group * (8 * width + 48)
        return max(1, min(MOST_USERS, int(SHARE * self._free(self._device)) // (each + pairs)))

    def _fewer(self, users: int, error: torch.OutOfMemoryError) -> int:
        """Half as many users. Raises DeviceError where it was one alone."""
        if users == 1:
            raise DeviceError(
                f"the memory of {self._device} is not enough to score one user against {self._items:,} items;"
                " free some of it, or use --device cpu"
            ) from error
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return users // 2

    def _settle(self, best: Best, chunk: Chunk, k: int) -> Int64:
        """Offer the candidates of a chunk's users; bool [b]: who is left to the tiles."""
        bound, size = self._maxima.bound(chunk.vec), self._maxima.group
        value, group = self._maxima.of(chunk).topk(looked_at(k))
        least = rounded_down(value[:, k - 1].double() - 2 * bound)
        sharp = self._bound.of(chunk.vec)
        left = ~(value[:, -1] < least) | torch.isinf(bound) | torch.isinf(sharp)
        reached = (value >= least[:, None]) & ~left[:, None]
        most = max(k, int(reached.sum(1).max()))  # the values fall, so what has reached it comes first
        group, reached = group[:, :most], reached[:, :most]
        row = (group[:, :, None] * size + torch.arange(size, device=self._device)).flatten(1)
        kept = reached.repeat_interleave(size, dim=1) & (row < self._items)
        kept &= ~chunk.has_seen(row, self._items)
        score = self._single.of_pairs(chunk.vec, row.clamp(max=self._items - 1))
        score[~kept] = -torch.inf
        least = rounded_down(score.topk(k).values[:, -1].double() - 2 * sharp)
        kept &= score >= least[:, None]
        self._judge.offer_where(best, chunk.user, chunk.vec, kept, row)
        return left.cpu().numpy()
