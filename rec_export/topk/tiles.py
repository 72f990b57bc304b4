"""The engine for every head with a known form, on any device of torch: float32 scores of a tile find the candidates.

For each user, with s the K-th best float32 score and e the bound of bound.py: K items score s - e or more by the
definition, so the list holds nothing below s - e, and whatever it holds has a float32 score of s - 2 e or more,
in whichever order that was summed. All such items are candidates; their float64 scores decide.

One pass keeps SLACK more than K items of each user. Where even the last one kept may be a candidate, as with heavy
ties, or where nothing bounds the error, that user's candidates are collected tile by tile in a second pass.
"""

from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.best import Best
from rec_export.topk.coarse import Coarse
from rec_export.topk.contract import Int64, Seen, TopK
from rec_export.topk.form import Form
from rec_export.topk.judge import Judge
from rec_export.topk.switches import side_by_side, whole_float32

SLACK = 16
KEPT = 1 << 22  # pairs kept for a chunk of users, 12 bytes each: matters for very long lists only
WIDE = 16  # a second pass may make a candidate, of some 40 bytes, of every pair: so many fewer users at a time


class Tile(NamedTuple):
    """How many users meet how many items at once. No result depends on it."""

    users: int
    items: int


class Chunk(NamedTuple):
    """Some users on the device: int64 [b], float32 [b, D], and what they have seen, int64 [nnz] each, by item row."""

    user: Int64
    vec: Tensor
    seen_user: Tensor
    seen_row: Tensor

    def seen_in(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Where the seen items lie in the scores of the items first..last-1: int64 [n], int64 [n]."""
        begin, end = torch.searchsorted(self.seen_row, self.seen_row.new_tensor([first, last])).tolist()
        return self.seen_user[begin:end], self.seen_row[begin:end] - first

    def has_seen(self, row: Tensor, items: int) -> Tensor:
        """Which of some items each user has seen, int64 [b, n] -> bool [b, n]; `items`: more than any row."""
        pair = torch.arange(len(row), device=row.device)[:, None] * items + row
        seen = (self.seen_user * items + self.seen_row).sort().values
        place = torch.searchsorted(seen, pair)
        return torch.nn.functional.pad(seen, (0, 1), value=-1)[place] == pair


def chunk_of(user_vec: Tensor, seen: Seen, user: Int64, device: torch.device) -> Chunk:
    """Some users, int64 [b], of those with the vectors float32 [B, D]."""
    own = seen.take(user)
    order = np.argsort(own.item_row)
    seen_user, seen_row = (torch.from_numpy(part[order]).to(device) for part in (own.user(), own.item_row))
    return Chunk(user, user_vec[torch.from_numpy(user)].to(device), seen_user, seen_row)


@final
class TileEngine:
    """Two passes at most, in memory that depends on neither B nor N: on a CPU, so much for each thread."""

    def __init__(self, form: Form, item_vec: Tensor, tile: Tile, coarse: Coarse | None = None) -> None:
        """item_vec float32 [N, D], contiguous, on the device to use; `coarse` finds the candidates, float32 if None."""
        self._tile = tile
        self._coarse = coarse or Coarse.single(form, item_vec)
        self._items = len(item_vec)
        self._judge = Judge(form, item_vec)
        self._device = item_vec.device

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        best = Best(len(user_vec), k)
        keep = min(k + SLACK, self._items)
        threads = torch.get_num_threads() if self._device.type == "cpu" else 1
        step = min(self._tile.users, KEPT // max(1, keep) + 1, -(-len(user_vec) // threads))

        def settle(user: Int64) -> None:
            short, least = self._offer_best(best, chunk_of(user_vec, seen, user, self._device), k, keep)
            for some in _split(np.flatnonzero(short.numpy()), max(1, step // WIDE)):
                self._offer_all(best, chunk_of(user_vec, seen, user[some], self._device), least[some])

        with whole_float32():
            side_by_side(settle, _split(np.arange(len(user_vec)), max(1, step)), threads)
        return best.top

    def _offer_best(self, best: Best, chunk: Chunk, k: int, keep: int) -> tuple[Tensor, Tensor]:
        """Offer the candidates of those users for whom `keep` items are enough.

        The others: bool [b]. The least float32 score of each user's candidates: float32 [b]. Both on the CPU.
        """
        bound = self._coarse.bound(chunk.vec)
        value, row = self._best_singles(chunk, keep)
        kth = value[:, k - 1].double() if k <= keep else torch.full_like(bound, -torch.inf)
        least = rounded_down(torch.where(bound < torch.inf, kth - 2 * bound, -torch.inf))
        candidate = (value >= least[:, None]) & (value > -torch.inf)
        short = torch.isinf(bound)
        if keep < self._items:
            short |= candidate[:, -1]
        candidate[short] = False
        self._judge.offer_where(best, chunk.user, chunk.vec, candidate, row)
        return short.cpu(), least.cpu()

    def _best_singles(self, chunk: Chunk, keep: int) -> tuple[Tensor, Tensor]:
        """The `keep` best float32 scores of unseen items, best first, and their rows: float32, int64 [b, keep].

        Seen items stand at the end, with -inf.
        """
        value, row = chunk.vec.new_empty(len(chunk.vec), 0), chunk.seen_row.new_empty(len(chunk.vec), 0)
        for first, last in self._tiles():
            score = self._coarse.scores(chunk.vec, first, last)
            score[chunk.seen_in(first, last)] = -torch.inf
            own_value, own_row = score.topk(min(keep, last - first))
            value, row = torch.cat([value, own_value], 1), torch.cat([row, own_row + first], 1)
            if first > 0:
                value, place = value.topk(min(keep, last))
                row = row.gather(1, place)
        return value, row

    def _offer_all(self, best: Best, chunk: Chunk, least: Tensor) -> None:
        """Offer every unseen item whose float32 score is not below `least`, float32 [b]: also one that overflowed."""
        least = least.to(self._device)
        for first, last in self._tiles():
            candidate = ~(self._coarse.scores(chunk.vec, first, last) < least[:, None])
            candidate[chunk.seen_in(first, last)] = False
            row = torch.arange(first, last, device=self._device)
            self._judge.offer_where(best, chunk.user, chunk.vec, candidate, row.expand(candidate.shape))

    def _tiles(self) -> Iterator[tuple[int, int]]:
        for first in range(0, self._items, self._tile.items):
            yield first, min(first + self._tile.items, self._items)


def _split(user: Int64, step: int) -> Iterator[Int64]:
    for first in range(0, len(user), step):
        yield user[first : first + step]


def rounded_down(number: Tensor) -> Tensor:
    """float64 -> float32, never larger."""
    single = number.float()
    return torch.nextafter(single, torch.full_like(single, -torch.inf))
