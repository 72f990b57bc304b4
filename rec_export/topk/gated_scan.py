"""A pass of users over a catalogue under a gated head, w . relu(a + b) + <p, q>: what crowd.py and mlp_scan.py do.

With one layer, and so one sum for each part, three users are worked on at once; a tile takes so little time that
Python has no place beside it.
"""

from typing import NamedTuple

import numpy as np

from rec_export.topk.compiled import compiled, reordered
from rec_export.topk.contract import Float32, Float64, Int64
from rec_export.topk.crowd import EXTREME, HALF, LARGEST, Crowd, Int32
from rec_export.topk.folded import LEVELS, TINY, Folded
from rec_export.topk.mlp_scan import Found, bar_of, keep, thin_user
from rec_export.topk.network import Network
from rec_export.topk.panels import PANEL, UInt8
from rec_export.topk.quantise import GROUP, Int8
from rec_export.topk.vnni_gated import ABREAST, Part, meet


class Abreast(NamedTuple):
    """n users before a tile, in whole threes; as in crowd.Meeting, but each with a unit of their own.

    code uint8 [n, 4 * groups], start int32 [n], scale float32 [n]: of the layer.
    dot_code int8 [n, 4 * dot groups], dot_start int32 [n], dot_scale float32 [n].
    unit, error float64 [n]. bar float32 [n]: infinite for who needs nothing.
    """

    code: UInt8
    start: Int32
    scale: Float32
    dot_code: Int8
    dot_start: Int32
    dot_scale: Float32
    unit: Float64
    error: Float64
    bar: Float32


@compiled
def scan(
    network: Network, folded: Folded, first: int, last: int, crowd: Crowd, user: Int64, k: int, found: Found
) -> None:
    """The tiles first..last-1 for some of the users, int64 [n]; the k-th best lower bound is the floor."""
    abreast, seen = abreast_of(crowd, user, folded), (crowd.seen_start, crowd.seen_place)
    room, low = np.full(len(user), 4 * k), np.empty(found.low.shape[1])
    reached, sums = np.zeros(ABREAST, np.uint64), np.zeros((ABREAST, PANEL), np.float32)
    for tile in range(first, last):
        prepare(network, folded, tile, crowd, user, found, abreast)
        weight, bar = folded.tiles.weight[tile].ctypes.data, abreast.bar.ctypes.data
        for place in range(tile << folded.bits, (tile + 1) << folded.bits, PANEL):
            if folded.row[place] < 0:
                break  # nor is there an item behind it
            gate, dot = _parts(folded, place, abreast)
            for at in range(0, len(user), ABREAST):
                if meet(gate, weight, dot, at, bar, reached.ctypes.data, sums.ctypes.data) == 0:
                    continue
                for j in range(ABREAST):
                    if reached[j] == 0:
                        continue
                    i = at + j
                    u, unit, error = user[i], abreast.unit[i], abreast.error[i]
                    if keep(u, place, reached[j], np.uint64(0), sums[j], unit, error, found) > room[i]:
                        thin_user(found, seen, u, k, low)
                        room[i] = min(2 * max(found.number[u], 2 * k), len(low) - PANEL)
                        abreast.bar[i] = np.inf if found.full[u] else bar_of(found.floor[u], error, unit)


@compiled
def abreast_of(crowd: Crowd, user: Int64, folded: Folded) -> Abreast:
    """What stays as it is from tile to tile, and room for the rest."""
    n = len(user) + -len(user) % ABREAST
    dot_code, dot_start = np.zeros((n, folded.dot_code.shape[1] * GROUP), np.int8), np.zeros(n, np.int32)
    for i in range(len(user)):
        dot_code[i] = crowd.codes.code[user[i]]
        dot_start[i] = -128 * dot_code[i].astype(np.int32).sum()
    return Abreast(
        np.zeros((n, folded.code.shape[1] * GROUP), np.uint8),
        np.zeros(n, np.int32),
        np.zeros(n, np.float32),
        dot_code,
        dot_start,
        np.zeros(n, np.float32),
        np.zeros(n),
        np.zeros(n),
        np.full(n, np.inf, np.float32),
    )


@compiled
def _parts(folded: Folded, place: int, abreast: Abreast) -> tuple[Part, Part]:
    """The 64 items from a place on, and the users."""
    groups, dots = folded.code.shape[1], folded.dot_code.shape[1]
    return Part(
        folded.code.ctypes.data + place * groups * GROUP,
        groups,
        abreast.code.ctypes.data,
        abreast.start.ctypes.data,
        abreast.scale.ctypes.data,
    ), Part(
        folded.dot_code.ctypes.data + place * dots * GROUP,
        dots,
        abreast.dot_code.ctypes.data,
        abreast.dot_start.ctypes.data,
        abreast.dot_scale.ctypes.data,
    )


@compiled
def prepare(
    network: Network, folded: Folded, tile: int, crowd: Crowd, user: Int64, found: Found, abreast: Abreast
) -> None:
    """The users' side of a tile and the bound, by the names of docs/topk.md."""
    tiles, hidden = folded.tiles, network.first.shape[1]
    step, z = tiles.step[tile], tiles.weight_step[tile, 0]
    rest = network.first[0] * step - z * tiles.weight[tile].copy().reshape(-1)[:hidden]
    base = network.bias[0] + (network.first[0] * tiles.least[tile]).sum()
    fold = 1 / step, tiles.least[tile], tiles.most[tile], tiles.centre[tile], network.first[0], rest
    dot_step, dot_size, dot_residual = folded.dots.step[tile], folded.dots.size[tile], folded.dots.residual[tile]
    for i in range(len(user)):
        u = user[i]
        if found.full[u]:
            abreast.bar[i] = np.inf
            continue
        own, distance = _fold(crowd.vec[u], fold, abreast.code[i])
        start, dot_scale = np.rint((base + own) / z), crowd.dot_step[u] * dot_step
        norm, residual, unit = crowd.rows.norm[u], crowd.codes.residual[u], max(z, dot_scale)
        error = tiles.reach[tile] * np.hypot(tiles.residual[tile], distance + TINY)
        error += tiles.rest_reach[tile] * tiles.spread[tile] + HALF * z
        error += norm * dot_residual + residual * dot_size + crowd.shared[u]
        sums = (abs(start) + LEVELS * 127 * hidden) * z + (norm + residual) * dot_size
        error += 17 * 2.0**-24 * sums + 2.0**-60 * unit
        error += 2.0**-38 * (crowd.own[u] + tiles.size[tile] + network.constant)
        error *= 1 + 2.0**-30
        promised = abs(start) <= LARGEST and 1 / EXTREME < tiles.size[tile] < EXTREME and error < np.inf
        abreast.error[i], abreast.unit[i] = error if promised else np.inf, unit
        abreast.start[i] = np.int32(start) if promised else np.int32(0)
        abreast.scale[i], abreast.dot_scale[i] = z / unit, dot_scale / unit
        abreast.bar[i] = bar_of(found.floor[u], abreast.error[i], unit)


@reordered
def _fold(
    vec: Float32, fold: tuple[Float64, Float64, Float64, Float64, Float64, Float64], code: UInt8
) -> tuple[float, float]:
    """A user's codes; what W k and E C' add up to, and how far the codes are from the user."""
    per_step, least, most, centre, weight, rest = fold
    own, square = 0.0, 0.0
    for h in range(len(least)):
        a = np.float64(vec[h])
        exact = (min(max(-a, least[h]), most[h]) - least[h]) * per_step[h]
        near = np.rint(exact)
        code[h] = np.uint8(near)
        square += (exact - near) * (exact - near)
        own += weight[h] * max(a, -most[h]) + rest[h] * max(near, centre[h])
    return own, np.sqrt(square)
