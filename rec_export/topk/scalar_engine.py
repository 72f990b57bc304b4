"""The engine for g(<u, v>), a network of the dot product alone: an engine for dot products finds its candidates.

Where g rises, a user's list is among the items with the largest dot products; where it falls, among those with the
smallest, which are the largest for the user's vector turned round. Nothing is assumed of g: the definition scores the
items that were fetched, and table.py says the most that g can be for any other, as those lie between the ends that
were fetched. If that is below the K-th best score, the list is proven. If not, both ends are fetched; and if that is
not enough, as where g is flat or has its summit between them, the tiles take the user's scores from the table.
"""

from functools import cached_property
from math import ceil, log2
from typing import NamedTuple, Protocol, final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.best import Best
from rec_export.topk.contract import Bool, Float64, Int64, Seen, TopK
from rec_export.topk.form import Form
from rec_export.topk.judge import Judge
from rec_export.topk.table import Table, table_of
from rec_export.topk.tabulated import Tabulated
from rec_export.topk.tiles import Tile, TileEngine

SLACK = 8  # items fetched beyond K, so that what is left lies clearly lower
WIDER = 64.0  # a table may reach so many times too far, which costs a little tightness: to make one may take seconds
LEAST = 2.0**-100  # a range of dot products that is not empty


class Dots(Protocol):
    """An engine for dot products."""

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""


class Fetched(NamedTuple):
    """Some items of each of B users, and between which dot products all others lie.

    item_row int64 [B, n]: -1 where there are fewer.
    low, high float64 [B].
    all bool [B]: there are no others.
    """

    item_row: Int64
    low: Float64
    high: Float64
    all: Bool

    def take(self, user: Int64) -> "Fetched":
        """The same for some of the users, int64 [n]."""
        return Fetched(self.item_row[user], self.low[user], self.high[user], self.all[user])


@final
class ScalarEngine:
    """Exact, whatever g is; as fast as dot products where it rises or falls at the end where the lists are."""

    def __init__(self, form: Form, item_vec: Tensor, dots: Dots, tile: Tile) -> None:
        """item_vec float32 [N, D], on the device to use; `dots` finds the items with the largest dot products."""
        self._form, self._dots, self._tile = form, dots, tile
        self._on_device = item_vec
        self._judge = Judge(form, item_vec)
        norm = torch.linalg.vector_norm(item_vec.double(), dim=1).cpu()
        self._largest, self._usual = (float(norm.max()), float(norm.mean())) if len(norm) else (0.0, 0.0)
        self._tables: dict[float, Table] = {}

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        if len(self._on_device) == 0 or len(user_vec) == 0:
            return TopK.none(len(user_vec), k)
        norm: Float64 = torch.linalg.vector_norm(user_vec.double(), dim=1).cpu().numpy()
        reach = norm * self._largest * (1 + 2.0**-20) + LEAST
        table = self._table(float(reach.max()))
        usual = float(norm.mean()) * self._usual / 2  # a large product, though not the largest
        falls = bool(table.at(np.array([usual])) < table.at(np.array([-usual])))
        one = self._fetched(user_vec, k, seen, reach, falls)
        top, proven = self._listed(table, user_vec, one, k)
        left = np.flatnonzero(~proven)
        if len(left):
            some = user_vec[torch.from_numpy(left)]
            other = self._fetched(some, k, seen.take(left), reach[left], not falls)
            theirs, proven = self._listed(table, some, together(one.take(left), other), k)
            top.put(left, theirs)
            left = left[~proven]
        if len(left):
            tiles = TileEngine(self._form, self._on_device, self._tile, self._tabulated.by(table))
            top.put(left, tiles.top_k(user_vec[torch.from_numpy(left)], k, seen.take(left)))
        return top

    @cached_property
    def _tabulated(self) -> Tabulated:
        return Tabulated(self._form, self._on_device)

    def _table(self, reach: float) -> Table:
        """One that reaches so far, and not much further; most users share a power of two."""
        far_enough = [one for one in self._tables if reach <= one <= WIDER * reach]
        power = min(far_enough, default=2.0 ** ceil(log2(reach)))
        if power not in self._tables:
            self._tables[power] = table_of(self._form.tail, power)
        return self._tables[power]

    def _fetched(self, user_vec: Tensor, k: int, seen: Seen, reach: Float64, falls: bool) -> Fetched:
        """The items at one end: the largest dot products, or the smallest where g falls."""
        number = min(k + SLACK, len(self._on_device))
        found = self._dots.top_k(-user_vec if falls else user_vec, number, seen)
        everything = (found.count < number) | (number == len(self._on_device))
        last = np.where(found.count < number, 0.0, found.score[:, -1])
        if falls:
            return Fetched(found.item_row, -last, reach, everything)
        return Fetched(found.item_row, -reach, last, everything)

    def _listed(self, table: Table, user_vec: Tensor, fetched: Fetched, k: int) -> tuple[TopK, Bool]:
        """The best k of what was fetched, B lists, and whether they are the best of all, bool [B]."""
        row = np.sort(fetched.item_row, axis=1)
        kept = (row >= 0) & (row != np.roll(row, 1, axis=1))  # both ends may hold the same item
        kept[:, 0] = row[:, 0] >= 0
        start, best = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]), Best(len(row), k)
        self._judge.offer(best, np.arange(len(row)), user_vec.cpu().contiguous().numpy(), start, row[kept])
        low, high = np.minimum(fetched.low, fetched.high), np.maximum(fetched.low, fetched.high)
        return best.top, fetched.all | (table.highest(low, high) < best.top.score[:, k - 1])


def together(one: Fetched, other: Fetched) -> Fetched:
    """What was fetched at both ends."""
    row = np.concatenate([one.item_row, other.item_row], 1)
    return Fetched(row, np.maximum(one.low, other.low), np.minimum(one.high, other.high), one.all | other.all)
