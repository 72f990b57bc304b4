"""A tile of an MLP head's catalogue before some users: everything is kept but what is surely below a user's floor."""

from typing import NamedTuple

import numpy as np

from rec_export.topk.best import reached_by
from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float32, Float64, Int64
from rec_export.topk.crowd import Int32, Meeting
from rec_export.topk.folded import Folded
from rec_export.topk.panels import PANEL, UInt8
from rec_export.topk.quantise import GROUP
from rec_export.topk.scan import Bool
from rec_export.topk.vnni import lowest_bit
from rec_export.topk.vnni_rows import ROWS, add_hidden, add_linear, code_hidden, larger, reaching


class Found(NamedTuple):
    """What has been found for each of B users, at most C items.

    place int32 [B, C], low, high float64 [B, C]: where it stands, and the bounds on its score; number int64 [B].
    floor, proven float64 [B], full bool [B], hidden bool [P]: as in scan.Held.
    """

    place: Int32
    low: Float64
    high: Float64
    number: Int64
    floor: Float64
    proven: Float64
    full: Bool
    hidden: Bool

    @classmethod
    def nothing(cls, users: int, width: int, empty: Bool) -> "Found":
        """Room for `width` items of each user; `empty` bool [P] are the places without an item."""
        floor, proven = np.full((2, users), -np.inf)
        low, high = np.empty((2, users, width))
        place = np.empty((users, width), np.int32)
        return cls(place, low, high, np.zeros(users, np.int64), floor, proven, np.zeros(users, np.bool_), empty)


class Scratch(NamedTuple):
    """The numbers of 64 items on their way through the layers, at multiples of 64 bytes: codes, codes, float32 [64]."""

    first: UInt8
    second: UInt8
    sums: Float32


class Layers(NamedTuple):
    """Sizes, and addresses of what Meeting and Scratch hold: to hand over the arrays takes a fourth longer."""

    groups: int
    outputs: int
    second_outputs: int
    weight: int
    scale: int
    second_weight: int
    second_start: int
    second_scale: int
    first: int
    second: int
    sums: int


@compiled
def scan_tile(
    folded: Folded,
    tile: int,
    meeting: Meeting,
    user: Int64,
    seen: tuple[Int64, Int64],
    k: int,
    scratch: Scratch,
    room: Int64,
    found: Found,
) -> None:
    """The users int64 [n]; room int64 [B] is how many items each may hold until they are thinned out again."""
    bar, low = np.empty(len(user), np.float32), np.empty(found.low.shape[1])
    for i in range(len(user)):
        bar[i] = bar_of(found.floor[user[i]], meeting.error[i], meeting.unit)
    sums, dots = scratch.sums, folded.dot_code.shape[1]
    layers, full = _layers(meeting, scratch), found.full
    code, start = meeting.code.ctypes.data, meeting.start.ctypes.data
    dot_code = meeting.dot_code.ctypes.data
    dot_start, dot_scale = meeting.dot_start.ctypes.data, meeting.dot_scale.ctypes.data
    for place in range(tile << folded.bits, (tile + 1) << folded.bits, PANEL):
        if folded.row[place] < 0:
            return  # nor is there an item behind it
        items = folded.code.ctypes.data + place * GROUP * layers.groups
        dot_items = folded.dot_code.ctypes.data + place * GROUP * dots
        for i in range(len(user)):
            u = user[i]
            if full[u]:
                continue
            sums[:] = 0
            over = _write_sums(layers, items, code + GROUP * layers.groups * i, start + 4 * layers.outputs * i)
            if dots > 0:
                own = dot_code + GROUP * dots * i
                add_linear(dot_items, dots, own, dot_start + 4 * i, dot_scale + 4 * i, layers.sums)
            hits = np.uint64(reaching(layers.sums, bar[i])) | over
            if hits == 0:
                continue
            if keep(u, place, hits, over, sums, meeting.unit, meeting.error[i], found) > room[u]:
                thin_user(found, seen, u, k, low)
                room[u] = min(2 * max(found.number[u], 2 * k), len(low) - PANEL)
                bar[i] = bar_of(found.floor[u], meeting.error[i], meeting.unit)


@compiled
def thin(found: Found, seen: tuple[Int64, Int64], user: Int64, k: int) -> None:
    """Leave no seen item of the users, int64 [n], and none that is surely below the k-th best lower bound."""
    low = np.empty(found.low.shape[1])
    for u in user:
        if not found.full[u]:
            thin_user(found, seen, u, k, low)


@compiled
def bar_of(floor: float, error: float, unit: float) -> np.float32:
    """What a sum must reach lest its item be surely below the floor."""
    if floor == -np.inf or error == np.inf:
        return np.float32(-np.inf)
    exact = (floor - error - 2.0**-50 * abs(floor)) / unit
    return np.float32(exact - 2.0**-22 * abs(exact))


@compiled
def _layers(meeting: Meeting, scratch: Scratch) -> Layers:
    return Layers(
        meeting.code.shape[1] // GROUP,
        meeting.start.shape[1],
        len(meeting.second_start),
        meeting.weight.ctypes.data,
        meeting.scale.ctypes.data,
        meeting.second_weight.ctypes.data,
        meeting.second_start.ctypes.data,
        meeting.second_scale.ctypes.data,
        scratch.first.ctypes.data,
        scratch.second.ctypes.data,
        scratch.sums.ctypes.data,
    )


@compiled
def _write_sums(layers: Layers, items: int, code: int, start: int) -> np.uint64:
    """Put 64 items and a user through the layers; the items with a number above the codes of the second, as bits."""
    groups, line, over = layers.groups, GROUP * ROWS * layers.groups, np.uint64(0)
    larger(items, groups, code, layers.first)
    if layers.second_outputs == 0:
        for row in range(layers.outputs // ROWS):
            weight, begin = layers.weight + line * row, 4 * ROWS * row
            add_hidden(layers.first, groups, weight, start + begin, layers.scale + begin, layers.sums)
    else:
        for row in range(layers.outputs // ROWS):
            weight, begin, codes = layers.weight + line * row, 4 * ROWS * row, layers.second + PANEL * ROWS * row
            over |= np.uint64(code_hidden(layers.first, groups, weight, start + begin, layers.scale + begin, codes))
        for row in range(layers.second_outputs // ROWS):
            weight, begin = layers.second_weight + ROWS * layers.outputs * row, 4 * ROWS * row
            start, scale = layers.second_start + begin, layers.second_scale + begin
            add_hidden(layers.second, layers.outputs // GROUP, weight, start, scale, layers.sums)
    return over


@compiled
def keep(
    u: int, place: int, hits: np.uint64, over: np.uint64, sums: Float32, unit: float, error: float, found: Found
) -> int:
    """Append the items of a panel that were found; returns how many are held."""
    n = found.number[u]
    while hits != 0:
        bit = lowest_bit(hits)
        found.place[u, n] = place + bit
        if (over >> np.uint64(bit)) & np.uint64(1) or error == np.inf:
            found.low[u, n], found.high[u, n] = -np.inf, np.inf
        else:
            height = unit * np.float64(sums[bit])
            found.low[u, n], found.high[u, n] = height - error, height + error
        n += 1
        hits &= hits - np.uint64(1)
    found.number[u] = n
    return n


@compiled
def thin_user(found: Found, seen: tuple[Int64, Int64], u: int, k: int, low: Float64) -> None:
    """The same as `thin` for one user; low float64 [C] is room to work in."""
    start, seen_place = seen
    own = range(start[u], start[u + 1])
    for i in own:
        found.hidden[seen_place[i]] = True
    n, known = 0, 0
    for i in range(found.number[u]):
        place = found.place[u, i]
        if not found.hidden[place]:
            found.place[u, n], found.low[u, n], found.high[u, n] = place, found.low[u, i], found.high[u, i]
            if found.low[u, n] > -np.inf:
                low[known] = found.low[u, n]
                known += 1
            n += 1
    for i in own:
        found.hidden[seen_place[i]] = False
    if known >= k:
        reached = reached_by(low[:known], k)
        found.proven[u], found.floor[u] = max(found.proven[u], reached), max(found.floor[u], reached)
    left = 0
    for i in range(n):
        found.place[u, left], found.low[u, left] = found.place[u, i], found.low[u, i]
        found.high[u, left] = found.high[u, i]
        left += found.high[u, left] >= found.floor[u]
    found.number[u] = left
    found.full[u] = left > len(low) * 3 // 4


@compiled
def most_likely(found: Found, user: Int64, most: int) -> tuple[Int32, Int64]:
    """The items of the users, int64 [n], that seem best: int32 [n, most], their places, and int64 [n], how many."""
    place, number = np.empty((len(user), most), np.int32), np.zeros(len(user), np.int64)
    for i in range(len(user)):
        u = user[i]
        own = np.arange(found.number[u])
        own = own[found.low[u, own] > -np.inf]
        height = found.low[u, own] + found.high[u, own]
        if len(own) > most:
            own = own[height >= reached_by(height, most)][:most]
        place[i, : len(own)], number[i] = found.place[u, own], len(own)
    return place, number


@compiled
def raise_floors(found: Found, user: Int64, start: Int64, score: Float64, less: Float64, k: int) -> None:
    """The definition's scores, less float64 [n], of the pairs start[i] to start[i + 1] are lower bounds of user[i]."""
    for i in range(len(user)):
        if start[i + 1] - start[i] >= k:
            reached, u = reached_by(score[start[i] : start[i + 1]], k) - less[i], user[i]
            found.proven[u], found.floor[u] = max(found.proven[u], reached), max(found.floor[u], reached)
