"""The engine for dot products on a processor with VNNI: 8-bit integers find the candidates, the definition decides.

A random sample of the catalogue comes first. It tells where the K-th best of all items will be about, and the rest is
searched from a floor a little below that. For a user in some hundreds that is still too high: then fewer than K items
are proven to reach it, and that user goes over all items again from what is proven. A user with too many candidates to
hold (many items tie, or the bound is loose) is left to the tiles, as is whoever would not be served faster.
"""

from functools import cached_property
from math import ceil, sqrt
from typing import final

import numpy as np
from torch import Tensor

from rec_export.topk import vnni
from rec_export.topk.contract import Float32, Int64, Seen, TopK
from rec_export.topk.decided import Candidates, Decided
from rec_export.topk.form import Form
from rec_export.topk.judge import Judge
from rec_export.topk.panels import SAMPLED, Panels, panels_of
from rec_export.topk.quantise import WIDEST, Columns, columns_of, encode, measure, rounding, step_of
from rec_export.topk.scan import Held, Users, scan, thin, write_rows
from rec_export.topk.tiles import TileEngine

BITS = 9  # tiles of 512 items, which share a step
MOST_MORE = 4096  # items held for a user who has seen many
HELD = 1 << 20  # items held for them at once, 8 bytes each: matters for very long lists only
# Below these the tiles are as fast, measured on one core of a Zen 4: items, items for each of the K, and the users of a
# first call, who pay for the panels.
FEWEST_ITEMS, ITEMS_PER_PLACE, FEWEST_USERS = 1000, 16, 128


@final
class DotEngine:
    """Exact whatever the sample, the tile and the users that come together."""

    def __init__(self, form: Form, item_vec: Tensor, tiles: TileEngine, bits: int = BITS) -> None:
        """item_vec float32 [N, D], contiguous, on the CPU; `tiles` serve whom this does not; 2^bits share a step."""
        self._tiles, self._bits = tiles, bits
        self._item_vec: Float32 = item_vec.numpy()
        self._decided = Decided(Judge(form, item_vec), tiles)

    @staticmethod
    def knows(form: Form, item_vec: Tensor) -> bool:
        """Whether the head is a dot product, and this machine has the instructions."""
        on_cpu = item_vec.device.type == "cpu"
        return form.hidden == 0 and 0 < form.dot <= WIDEST and on_cpu and vnni.available()

    @cached_property
    def _columns(self) -> tuple[Columns, Columns]:
        return columns_of(self._item_vec)

    @cached_property
    def _panels(self) -> Panels:
        return panels_of(self._item_vec, self._columns[0], self._bits)

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> B lists."""
        return self.by_scan(user_vec, k, seen) if self._pays(len(user_vec), k) else self._tiles.top_k(user_vec, k, seen)

    def _pays(self, users: int, k: int) -> bool:
        paid = "_panels" in self.__dict__ or users >= FEWEST_USERS
        return paid and len(self._item_vec) >= max(FEWEST_ITEMS, ITEMS_PER_PLACE * k)

    def by_scan(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """The same, whether or not the tiles would be as fast; at least one item."""
        panels = self._panels  # before the threads want it

        def search(vec: Float32, seen: Seen) -> Candidates:
            held = self._candidates(self._users(vec, seen), k)
            return Candidates(held.full, *in_lists(held, panels))

        return self._decided.lists(user_vec, k, seen, search, HELD // width(k))

    def _users(self, vec: Float32, seen: Seen) -> Users:
        shift, columns = self._columns[0].shift, self._columns[1]
        rows = measure(vec, columns)
        step = step_of(rows.largest)
        codes = encode(vec, np.append(np.arange(len(vec)), -1), columns, np.append(step, 1.0))
        return Users(
            code=codes.code,
            step=step,
            norm=rows.norm,
            residual=codes.residual,
            shared=rounding(vec.shape[1]) * (np.abs(vec) @ np.abs(shift)),
            excess=128 * codes.code.sum(axis=1, dtype=np.int64),
            seen_start=seen.start,
            seen_place=self._panels.place[seen.item_row],
        )

    def _candidates(self, users: Users, k: int) -> Held:
        """What may be in the lists; nothing that is not, where it is proven to reach the floor."""
        panels, everyone = self._panels, np.arange(len(users.step))
        held = Held.nothing(len(everyone), width(k) + crowd(users), panels.row < 0)
        some, sample, everything = best_of_sample(k), panels.sample, len(panels.step)
        scan(panels, 0, sample, users, everyone, some, held)
        thin(panels, users, everyone, some, held)
        held.proven[:] = -np.inf
        scan(panels, sample, everything, users, everyone, k, held)
        thin(panels, users, everyone, k, held)
        again = np.flatnonzero(~held.full & (held.proven < held.floor))
        held.floor[again], held.number[again] = held.proven[again], 0
        scan(panels, 0, sample, users, again, k, held)
        scan(panels, sample, everything, users, again, k, held)
        thin(panels, users, again, k, held)
        return held


def width(k: int) -> int:
    """How many items to hold for a user; more than that and the tiles are about as fast."""
    return 8 * k + 512


def crowd(users: Users) -> int:
    """How many more where many are seen: beyond the best, items lie closer together, so more of them are in doubt."""
    return min(int(np.diff(users.seen_start).max(initial=0)), MOST_MORE)


def best_of_sample(k: int) -> int:
    """The rank in the sample, K at most, of an item that is hardly ever among the K best of all.

    How many of these fall in the sample is about Poisson: take three standard deviations more than the mean, and one.
    """
    mean = k / SAMPLED
    return min(k, ceil(mean + 3 * sqrt(mean) + 1))


def in_lists(held: Held, panels: Panels) -> tuple[Int64, Int64]:
    """int64 [B + 1], int64 [pairs]: the item rows held for each user, none for those with too many."""
    start = np.concatenate([[0], np.cumsum(np.where(held.full, 0, held.number))])
    row = np.empty(start[-1], np.int64)
    write_rows(start, held.place, panels.row, row)
    return start, row
