"""The engine for MLP heads on a processor with VNNI: 8-bit integers find the candidates, the definition decides.

It goes the way of dot_engine.py: a random sample sets a floor a little below where the K-th best of all items will be,
the rest is searched from there, and whoever has fewer than K items that are proven to reach it starts again. Where many
items are left, float32 scores with the bound of bound.py thin them out before float64 decides. A user with too many
candidates to hold is left to the tiles; and where that happens to most users, so is everybody who comes later.
"""

from functools import cached_property
from itertools import pairwise
from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk import gated_scan, vnni
from rec_export.topk.bound import Bound
from rec_export.topk.contract import Float32, Float64, Int64, Seen, TopK
from rec_export.topk.crowd import Crowd, meeting
from rec_export.topk.decided import Candidates, Decided
from rec_export.topk.dot_engine import best_of_sample
from rec_export.topk.folded import Folded, folded_of
from rec_export.topk.form import Form
from rec_export.topk.judge import Judge
from rec_export.topk.mlp_scan import Found, Scratch, most_likely, raise_floors, scan_tile, thin
from rec_export.topk.network import Network, network_of
from rec_export.topk.panels import PANEL, aligned
from rec_export.topk.quantise import GROUP, WIDEST, Columns, columns_of, encode, measure, rounding, step_of
from rec_export.topk.single import SingleScores
from rec_export.topk.switches import whole_float32
from rec_export.topk.tiles import TileEngine

BITS = 11  # tiles of 2,048 items, which share the steps of their columns
WIDEST_LAYER, LAYERS = 1024, 3
HELD = 1 << 21  # items held for them at once, 20 bytes each
TRIED, LEFT = 16, 0.5  # of so many users or more more than half have too many candidates: the others are not tried
STAGES = 1, 1, 3  # parts of the catalogue, by layers: after each, as after the sample, 2 K + SLACK items are scored
SLACK = 16  # exactly, of users who hold more than twice as many or have no proof of their floor
FEWEST_ITEMS, ITEMS_PER_PLACE, FEWEST_USERS = 2000, 32, 64  # below these the tiles are as fast


@final
class MlpEngine:
    """Exact whatever the sample, the tile and the users that come together."""

    def __init__(self, form: Form, item_vec: Tensor, tiles: TileEngine, bits: int = BITS) -> None:
        """item_vec float32 [N, D], contiguous, on the CPU; `tiles` serve whom this does not; 2^bits share steps."""
        self._form, self._tiles, self._bits = form, tiles, bits
        self._item_vec: Float32 = item_vec.numpy()
        self._judge = Judge(form, item_vec)
        self._decided = Decided(self._judge, tiles)
        self._single = SingleScores(form, item_vec)
        self._bound = Bound(form, item_vec)
        self._helps = True

    @staticmethod
    def knows(form: Form, item_vec: Tensor) -> bool:
        """Whether the head is an MLP that is narrow enough, and this machine has the instructions."""
        sizes = [form.hidden, *(len(layer.bias) for layer in form.tail)]
        narrow = form.hidden > 0 and len(form.tail) <= LAYERS and max(sizes) <= WIDEST_LAYER and form.dot <= WIDEST
        return narrow and item_vec.device.type == "cpu" and vnni.available()

    @cached_property
    def _network(self) -> Network:
        return network_of(self._form)

    @cached_property
    def _columns(self) -> tuple[Columns, Columns]:
        return columns_of(self._item_vec[:, self._form.hidden :])

    @cached_property
    def _folded(self) -> Folded:
        return folded_of(self._item_vec, self._network, self._columns[0], self._bits)

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        pays = "_folded" in self.__dict__ or len(user_vec) >= FEWEST_USERS
        if self._helps and pays and len(self._item_vec) >= max(FEWEST_ITEMS, ITEMS_PER_PLACE * k):
            return self.by_scan(user_vec, k, seen)
        return self._tiles.top_k(user_vec, k, seen)

    def by_scan(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """The same, whether or not the tiles would be as fast; at least one item."""
        folded = self._folded  # before the threads want it

        def search(vec: Float32, seen: Seen) -> Candidates:
            if not self._helps:
                return Candidates.none(len(vec))
            found = self._candidates(self._crowd(vec, seen), k)
            if len(vec) >= TRIED and found.full.mean() > LEFT:
                self._helps = False
            count = np.where(found.full, 0, found.number)
            kept = np.arange(found.place.shape[1]) < count[:, None]
            start, row = np.concatenate([[0], np.cumsum(count)]), folded.row[found.place[kept]]
            return Candidates(found.full, *self._thinned(torch.from_numpy(vec), k, start, row))

        with whole_float32():
            return self._decided.lists(user_vec, k, seen, search, HELD // self._width(k))

    def _width(self, k: int) -> int:
        """How many items to hold for a user: two layers tell less than one, and cost more to compute."""
        most = 16384 if len(self._form.tail) == LAYERS else 4096
        return 8 * k + min(most, max(512, len(self._item_vec) // 8))

    def _crowd(self, vec: Float32, seen: Seen) -> Crowd:
        hidden = self._form.hidden
        reach = self._network.first_range.largest @ np.abs(self._network.first)
        reached: Float64 = np.abs(vec[:, :hidden]).astype(np.float64) @ reach
        dot = np.ascontiguousarray(vec[:, hidden:])
        rows = measure(dot, self._columns[1])
        step = step_of(rows.largest)
        shared: Float64 = rounding(dot.shape[1]) * (np.abs(dot) @ np.abs(self._columns[0].shift))
        return Crowd(
            vec=vec,
            own=reached,
            rows=rows,
            codes=encode(dot, np.arange(len(dot)), self._columns[1], step),
            dot_step=step,
            shared=shared,
            same=float(self._form.tail[-1].bias) + dot @ self._columns[0].shift,
            rounded=shared + 2.0**-37 * (reached + self._folded.tiles.size.max() + self._network.constant),
            seen_start=seen.start,
            seen_place=self._folded.place[seen.item_row],
        )

    def _candidates(self, crowd: Crowd, k: int) -> Found:
        """What may be in the lists; nothing that is not, where it is proven to reach the floor."""
        folded, everyone = self._folded, np.arange(len(crowd.vec))
        found = Found.nothing(len(everyone), self._width(k), folded.row < 0)
        sample, everything = folded.sample, len(folded.tiles.least)
        self._scan(0, sample, crowd, everyone, best_of_sample(k), found)
        found.proven[:] = -np.inf
        number = STAGES[len(self._form.tail) - 1]
        stages = [sample + (everything - sample) * stage // number for stage in range(number + 1)]
        for first, last in pairwise(stages):
            self._scan(first, last, crowd, everyone, k, found)
        again = np.flatnonzero(~found.full & (found.proven < found.floor))
        if len(again):
            found.floor[again], found.number[again] = found.proven[again], 0
            self._scan(0, everything, crowd, again, k, found)
        return found

    def _scan(self, first: int, last: int, crowd: Crowd, user: Int64, k: int, found: Found) -> None:
        self._pass(first, last, crowd, user, k, found)
        seen = crowd.seen_start, crowd.seen_place
        thin(found, seen, user, k)
        most = 2 * k + SLACK
        unclear = ~found.full & ((found.number > 2 * most) | (found.proven < found.floor))
        user = user[unclear[user]]
        self._sharpen(crowd, user, k, most, found)
        thin(found, seen, user, k)

    def _pass(self, first: int, last: int, crowd: Crowd, user: Int64, k: int, found: Found) -> None:
        if self._network.linear:
            gated_scan.scan(self._network, self._folded, first, last, crowd, user, k, found)
            return
        scratch, room = self._scratch(), np.full(len(crowd.vec), 4 * k)
        for tile in range(first, last):
            user = user[~found.full[user]]
            if len(user) == 0:
                return
            met = meeting(self._network, self._folded, tile, crowd, user)
            scan_tile(self._folded, tile, met, user, (crowd.seen_start, crowd.seen_place), k, scratch, room, found)

    def _scratch(self) -> Scratch:
        rows = -(-len(self._network.first) // GROUP) * GROUP
        sums = aligned(4 * PANEL).view(np.float32)
        return Scratch(aligned(self._folded.code.shape[1] * GROUP * PANEL), aligned(rows * PANEL), sums)

    def _sharpen(self, crowd: Crowd, user: Int64, k: int, most: int, found: Found) -> None:
        """Raise the floors: the definition's scores of the items that seem best are lower bounds without an error."""
        place, number = most_likely(found, user, most)
        row = self._folded.row[place[np.arange(most) < number[:, None]]]
        start = np.concatenate([[0], np.cumsum(number)])
        score = self._judge.scores(crowd.vec[user], start, row)
        raise_floors(found, user, start, score, crowd.same[user] + crowd.rounded[user], k)

    def _thinned(self, user_vec: Tensor, k: int, start: Int64, row: Int64) -> tuple[Int64, Int64]:
        """Fewer candidates, by float32 scores: as in tiles.py, the list holds none 2 bounds below the K-th best."""
        if len(self._form.tail) < LAYERS:
            return start, row
        bound = self._bound.of(user_vec).numpy()
        kept = []
        for user, (begin, end) in enumerate(pairwise(start)):
            own = row[begin:end]
            if end - begin > 2 * k and bound[user] < np.inf:
                score = self._single.of_rows(user_vec[user], torch.from_numpy(own)).double().numpy()
                own = own[score >= np.partition(score, -k)[-k] - 2.000001 * bound[user]]
            kept.append(own)
        return starts(kept), np.concatenate([row[:0], *kept])


def starts(parts: list[Int64]) -> Int64:
    """int64 [parts + 1]: where each begins in all of them together."""
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)
