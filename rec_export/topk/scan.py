"""A pass of users over panels of items in 8-bit integers that leaves out only what cannot be among a user's best.

By docs/topk.md the score of an item is within `error` of (step of the user) (step of the tile) (product of the codes),
apart from a number that all items of the user share. So K items found have a lower bound each, and what lies below the
least of these, the floor, is in no list. Everything else is kept; what is held is thinned out as the floor rises.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec_export.topk.best import reached_by
from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float64, Int64
from rec_export.topk.panels import PANEL, Panels
from rec_export.topk.quantise import GROUP, Int8
from rec_export.topk.vnni import ABREAST, lowest_bit, meet

Int32 = npt.NDArray[np.int32]
UInt64 = npt.NDArray[np.uint64]
Index = int | np.uint32
Bool = npt.NDArray[np.bool_]

NEVER = 2**31 - 1  # a bar that no product reaches


class Users(NamedTuple):
    """B users as codes, and the places of the items that each has seen.

    code int8 [B + 1, 4 * groups]: the last row is nobody's, all zeros.
    step, norm, residual float64 [B]: of the codes and rows, as in quantise.py.
    shared float64 [B]: what float64 may round off the part of the score that all items of the user share.
    excess int64 [B]: by how much the 128 that each code of an item has too much raises a product.
    seen_start int64 [B + 1], seen_place int64 [nnz]: as in Seen.
    """

    code: Int8
    step: Float64
    norm: Float64
    residual: Float64
    shared: Float64
    excess: Int64
    seen_start: Int64
    seen_place: Int64


class Held(NamedTuple):
    """What has been found for each of B users, at most C items.

    place int32 [B, C], product int32 [B, C], number int64 [B]: items that may be in the list, and maybe seen ones.
    floor float64 [B]: no item is kept that is surely below it.
    proven float64 [B]: k items are surely at least as high; where the floor is higher, something may be missing.
    full bool [B]: more than C items should be kept, and what is held means nothing.
    hidden bool [P]: places without an item; while a user's items are thinned out, those of seen items too.
    """

    place: Int32
    product: Int32
    number: Int64
    floor: Float64
    proven: Float64
    full: Bool
    hidden: Bool

    @classmethod
    def nothing(cls, users: int, width: int, empty: Bool) -> "Held":
        """Room for `width` items of each user; `empty` bool [P] are the places without an item."""
        floor, proven = np.full((2, users), -np.inf)
        place, product = np.empty((2, users, width), np.int32)
        return cls(place, product, np.zeros(users, np.int64), floor, proven, np.zeros(users, np.bool_), empty)


@compiled
def scan(panels: Panels, first: int, last: int, users: Users, user: Int64, k: int, held: Held) -> None:
    """The tiles first..last-1 of one part for some of the users, int64 [n]; the k-th best lower bound is the floor."""
    groups = panels.code.shape[1]
    active, n = np.concatenate((user, np.zeros(ABREAST, np.int64))), len(user)
    bar, seen = np.empty(len(active), np.int32), np.diff(users.seen_start)
    room = np.minimum(4 * k + seen, held.place.shape[1] - PANEL)  # seen items may be found first, and go when thinned
    found, product = np.zeros(ABREAST, np.uint64), np.zeros((ABREAST, PANEL), np.int32)
    low, high = np.empty(held.place.shape[1]), np.empty(held.place.shape[1])
    items, codes, results = panels.code.ctypes.data, users.code.ctypes.data, (found.ctypes.data, product.ctypes.data)
    for tile in range(first, last):
        n = _raise_bars(panels, tile, users, held, active, n, bar)
        for place in range(tile << panels.bits, (tile + 1) << panels.bits, PANEL):
            panel = items + place * groups * GROUP
            for at in range(0, n, ABREAST):
                whom, bars = active.ctypes.data + 8 * at, bar.ctypes.data + 4 * at
                if meet(panel, groups, codes, whom, bars, results[0], results[1]) == 0:
                    continue
                who = np.uint64(0)
                for j in range(ABREAST):
                    who |= np.uint64(found[j] != 0) << np.uint64(j)
                while who != 0:
                    j = lowest_bit(who)
                    who &= who - np.uint64(1)
                    u = active[at + j]
                    if _keep(u, place, found, product, j, held) > room[u]:
                        _thin(panels, users, u, k, held, low, high)
                        room[u] = min(2 * max(held.number[u], 2 * k) + seen[u], len(low) - PANEL)
                        bar[at + j] = NEVER if held.full[u] else _bar(panels, tile, users, u, held.floor[u])


@compiled
def thin(panels: Panels, users: Users, user: Int64, k: int, held: Held) -> None:
    """Leave no seen item of the users, int64 [n], and none that is surely below the k-th best lower bound."""
    low, high = np.empty(held.place.shape[1]), np.empty(held.place.shape[1])
    for u in user:
        if not held.full[u]:
            _thin(panels, users, u, k, held, low, high)


@compiled
def write_rows(start: Int64, place: Int32, row_at: Int64, row: Int64) -> None:
    """The rows of the first items of each user, so many as there is room: int64 [B + 1], [B, C], [P] -> [pairs]."""
    for u in range(len(start) - 1):
        for i in range(start[u + 1] - start[u]):
            row[start[u] + i] = row_at[np.uint32(place[u, i])]


@compiled
def _raise_bars(panels: Panels, tile: int, users: Users, held: Held, active: Int64, n: int, bar: Int32) -> int:
    """Who goes on with this tile, and from which product on; nobody stands in the places left in the last group."""
    left = 0
    for at in range(n):
        u = active[at]
        if not held.full[u] and users.norm[u] * panels.reach[tile] + users.shared[u] >= held.floor[u]:
            active[left], bar[left] = u, _bar(panels, tile, users, u, held.floor[u])
            left += 1
    active[left : left + ABREAST], bar[left : left + ABREAST] = len(users.code) - 1, NEVER
    return left


@compiled
def _error(panels: Panels, tile: Index, users: Users, u: int) -> float:
    return users.norm[u] * panels.residual[tile] + users.residual[u] * panels.size[tile] + users.shared[u]


@compiled
def _bar(panels: Panels, tile: Index, users: Users, u: int, floor: float) -> np.int32:
    """What a product must reach lest its item be surely below the floor."""
    least = np.floor((floor - _error(panels, tile, users, u)) / (users.step[u] * panels.step[tile])) - 1
    return np.int32(min(max(least + users.excess[u], -NEVER), NEVER))


@compiled
def _keep(u: int, place: int, found: UInt64, product: Int32, j: int, held: Held) -> int:
    """Append the items of a panel that were found; returns how many are held."""
    n, left = held.number[u], found[j]
    while left != 0:
        bit = lowest_bit(left)
        held.place[u, n], held.product[u, n] = place + bit, product[j, bit]
        n += 1
        left &= left - np.uint64(1)
    held.number[u] = n
    return n


@compiled
def _thin(panels: Panels, users: Users, u: int, k: int, held: Held, low: Float64, high: Float64) -> None:
    """The bounds go to `low` and `high`, float64 [C]. The loops read names: a field would be read anew each time."""
    place, product, hidden, bits = held.place[u], held.product[u], held.hidden, np.uint32(panels.bits)
    step, norm, residual = users.step[u], users.norm[u], users.residual[u]
    shared, excess, n = users.shared[u], users.excess[u], 0
    seen = range(users.seen_start[u], users.seen_start[u + 1])
    for i in seen:
        hidden[users.seen_place[i]] = True
    for i in range(held.number[u]):
        at, dots = np.uint32(place[i]), product[i]
        if not hidden[at]:
            tile = at >> bits
            error = norm * panels.residual[tile] + residual * panels.size[tile] + shared
            place[n], product[n], low[n] = at, dots, step * panels.step[tile] * (dots - excess) - error
            high[n] = low[n] + 2 * error
            n += 1
    for i in seen:
        hidden[users.seen_place[i]] = False
    if n >= k:
        reached = reached_by(low[:n], k)
        held.proven[u], held.floor[u] = max(held.proven[u], reached), max(held.floor[u], reached)
    left, floor = 0, held.floor[u]
    for i in range(n):
        place[left], product[left] = place[i], product[i]
        left += high[i] >= floor
    held.number[u] = left
    held.full[u] = left > len(low) * 3 // 4
