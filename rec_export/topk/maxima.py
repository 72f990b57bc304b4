"""The largest coarse score in each group of items, all that groups.py keeps of a tile: what gives it, and torch's way.

fused.py has the other way, by kernels that write no scores to memory.
"""

from typing import Protocol, final

import torch
from torch import Tensor

from rec_export.topk.brief import BriefDots
from rec_export.topk.coarse import Coarse
from rec_export.topk.form import Form
from rec_export.topk.tiles import Chunk

GROUP = 32
ITEMS = 1 << 14  # of a tile


class Maxima(Protocol):
    """A catalogue's coarse scores by groups: group g has the items g * group to (g + 1) * group - 1.

    name: for a person.
    group: how many items a group has.
    """

    name: str
    group: int

    def of(self, chunk: Chunk) -> Tensor:
        """The largest coarse score of an unseen item in each group: float32 [b, groups]; -inf where there is none.

        There may be groups beyond the catalogue, with -inf.
        """

    def bound(self, user_vec: Tensor) -> Tensor:
        """float32 [B, D] -> float64 [B]: no coarse score of a user is further off; inf: nothing is promised."""

    def bytes_each(self) -> int:
        """What a user takes in memory while this works, without what it gives."""


@final
class TileMaxima:
    """By torch, on any device: a tile's scores are written, and read again."""

    name = "torch"

    def __init__(self, form: Form, item_vec: Tensor, group: int = GROUP, tile: int = ITEMS) -> None:
        """item_vec float32 [N, D], contiguous, on the device to use; a tile has so many items, whole groups."""
        coarse = Coarse.single(form, item_vec) if form.tail else BriefDots(item_vec).coarse
        self.group, self.bound = group, coarse.bound
        self._scores, self._items, self._tile = coarse.scores, len(item_vec), tile

    def bytes_each(self) -> int:
        """A tile's scores, and what their padding copies."""
        return 12 * min(self._tile, self._items)

    def of(self, chunk: Chunk) -> Tensor:
        """float32 [b, groups]."""
        maxima = []
        for first in range(0, self._items, self._tile):
            last = min(first + self._tile, self._items)
            score = self._scores(chunk.vec, first, last)
            score[chunk.seen_in(first, last)] = -torch.inf
            score = torch.nn.functional.pad(score, (0, -(last - first) % self.group), value=-torch.inf)
            maxima.append(score.unflatten(1, (-1, self.group)).amax(2).float())
        return torch.cat(maxima, 1)
