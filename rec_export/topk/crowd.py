"""Some users before the tiles of a Folded catalogue: their side of the maximum, and the bound on what is rounded.

docs/topk.md proves the bound; the names here are its names.
"""

from typing import NamedTuple

import numpy as np
import torch

from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float32, Float64, Int64
from rec_export.topk.folded import LEVELS, TINY, Folded, Tiles
from rec_export.topk.network import Network, coded, reach
from rec_export.topk.panels import PANEL, UInt8
from rec_export.topk.quantise import GROUP, Codes, Int8, Rows
from rec_export.topk.vnni_rows import ROWS

Int32 = np.ndarray[tuple[int, ...], np.dtype[np.int32]]
LARGEST = 2.0**29  # a start beyond this might carry a sum of products out of an int32
HALF = 0.501  # of a step: a rounding to the nearest integer, and what float32 and float64 round beside it
EXTREME = 1e100  # sizes beyond this, or below its inverse, might carry a square out of float64
WHOM, WHAT = 32, 32  # users and items that tell how large the numbers of the first layer become
ROOM = 1.5  # times what these show
IDLE = 32  # a number that they hardly show may still be so small a part of the largest


class Crowd(NamedTuple):
    """B users. vec float32 [B, H + D]; own float64 [B]: the tail of |a|, all signs positive.

    dot int8 codes [B, 4 * groups] and steps; rows, codes as in quantise.py; shared float64 [B] as in scan.Users.
    """

    vec: Float32
    own: Float64
    rows: Rows
    codes: Codes
    dot_step: Float64
    shared: Float64
    same: Float64
    rounded: Float64
    seen_start: Int64
    seen_place: Int64


class Hidden(NamedTuple):
    """The first layer of n users and a tile; the second one of a tile, if there is any, for some users.

    code: int8 [rows / together, groups, together, 4], the weights; start int32 [n, O] or [O2]; step float64 of a row.
    sums: how large the float32 sum over the rows' outputs may become, as far as that matters; float64 [n] or one.
    error: what its roundings may do to a score; float64 [n] or one.
    """

    code: Int8
    start: Int32
    step: Float64
    sums: Float64
    error: Float64


class Meeting(NamedTuple):
    """n users and a tile, as the kernels want them. Everything that is float32 is in units of `unit`.

    code uint8 [n, 4 * groups]; weight, start and scale, float32 [O], of the first layer.
    second_weight, second_start, second_scale: the same of the second, all empty without one.
    dot_code int8 [n, 4 * dot groups], dot_start int32 [n], dot_scale float32 [n].
    error float64 [n]: no score of the tile is further from what the kernels find; infinite where nothing is promised.
    """

    code: UInt8
    weight: Int8
    start: Int32
    scale: Float32
    second_weight: Int8
    second_start: Int32
    second_scale: Float32
    dot_code: Int8
    dot_start: Int32
    dot_scale: Float32
    unit: float
    error: Float64


NONE = np.zeros(0)
NO_LAYER = Hidden(np.zeros((0, 0, ROWS, GROUP), np.int8), np.zeros(0, np.int32), NONE, np.zeros(()), np.zeros(()))


def meeting(network: Network, folded: Folded, tile: int, crowd: Crowd, user: Int64) -> Meeting:
    """The users int64 [n] before a tile."""
    code, first = _first(network, folded.tiles, tile, crowd, user)
    second, last, first_scale = NO_LAYER, first, np.ones(1)
    if len(network.second):
        input_step = _input_step(network, folded, tile, crowd, user)
        second = last = _second(network, input_step)
        first_scale = first.step / input_step
    dots, norm, residual = folded.dots, crowd.rows.norm[user], crowd.codes.residual[user]
    dot_scale = crowd.dot_step[user] * dots.step[tile]
    unit = max(float(np.abs(network.last * last.step).max()), float(dot_scale.max(initial=0))) or 1.0
    sums = last.sums + (norm + residual) * dots.size[tile]
    error = first.error + second.error + norm * dots.residual[tile] + residual * dots.size[tile] + crowd.shared[user]
    error = error + (len(network.last) + 16) * 2.0**-24 * sums + 2.0**-60 * unit
    error = error + 2.0**-38 * (crowd.own[user] + folded.tiles.size[tile] + network.constant)
    dot_code, scale = crowd.codes.code[user], network.last * last.step / unit
    return Meeting(
        code=code,
        weight=first.code,
        start=first.start,
        scale=(first_scale if len(network.second) else scale).astype(np.float32),
        second_weight=second.code,
        second_start=second.start,
        second_scale=(scale if len(network.second) else NONE).astype(np.float32),
        dot_code=dot_code,
        dot_start=(-128 * dot_code.sum(axis=1, dtype=np.int64)).astype(np.int32),
        dot_scale=(dot_scale / unit).astype(np.float32),
        unit=unit,
        error=np.where(np.isfinite(error), error * (1 + 2.0**-30), np.inf),
    )


def _first(network: Network, tiles: Tiles, tile: int, crowd: Crowd, user: Int64) -> tuple[UInt8, Hidden]:
    """The users' codes, uint8 [n, 4 * groups], and the layer."""
    weight, row_step, hidden = tiles.weight[tile], tiles.weight_step[tile], network.first.shape[1]
    code = np.zeros((len(user), weight.shape[1] * GROUP), np.uint8)
    both, distance = np.empty((len(user), 2 * hidden)), np.empty(len(user))
    least, most, step = tiles.least[tile], tiles.most[tile], tiles.step[tile]
    _fold(crowd.vec, user, least, most, step, tiles.centre[tile], code, both, distance)
    # What the codes leave of the weights is computed anew as it was for rest_reach: it would take 8 times their room.
    rest = network.first * step - row_step[:, None] * _plain(weight)[:, :hidden]
    weights = torch.from_numpy(np.concatenate([network.first, rest], axis=1))
    base = network.bias + network.first @ least
    start = np.rint((base + (torch.from_numpy(both) @ weights.T).numpy()) / row_step)
    promised = (np.abs(start) <= LARGEST).all(axis=1) & (1 / EXTREME < tiles.size[tile] < EXTREME)
    error = tiles.reach[tile] * np.hypot(tiles.residual[tile], distance + TINY)
    error += tiles.rest_reach[tile] * tiles.spread[tile] + HALF * float(network.first_range.largest @ row_step)
    error[~promised], start[~promised] = np.inf, 0
    sums = np.zeros(len(user))
    if len(network.second) == 0:
        sums = np.maximum(start + tiles.highest[tile], 0) @ (np.abs(network.last) * row_step)
    return code, Hidden(weight, start.astype(np.int32), row_step, sums, error)


def _input_step(network: Network, folded: Folded, tile: int, crowd: Crowd, user: Int64) -> Float64:
    """float64 [O]: the steps of the second layer's inputs, by some pairs; the kernel finds pairs that exceed them."""
    hidden, places = network.first.shape[1], 1 << folded.bits
    a = crowd.vec[user[:: len(user) // WHOM + 1], None, :hidden].astype(np.float64)
    panels = slice(tile * places // PANEL, (tile + 1) * places // PANEL)
    some = folded.code[panels, :, :: min(PANEL, places // WHAT)].transpose(0, 2, 1, 3)
    b = folded.tiles.least[tile] + folded.tiles.step[tile] * some.reshape(-1, GROUP * some.shape[2])[:, :hidden]
    pairs = torch.from_numpy(np.maximum(a + b, 0).reshape(-1, hidden))
    shown = ((pairs @ torch.from_numpy(network.first).T).numpy() + network.bias).max(axis=0)
    most = shown.max()
    return ROOM * np.maximum(shown, most / IDLE) / LEVELS if 1 / EXTREME < most < EXTREME else np.ones(len(shown))


def _second(network: Network, input_step: Float64) -> Hidden:
    """The layer for inputs that are codes from 0 to 255 of these steps, float64 [O]."""
    weight, factor = network.second * input_step, network.second_range
    layer = coded(weight, ROWS)
    start = np.rint((network.second_bias + layer.rest.sum(axis=1) * LEVELS / 2) / layer.step)
    error = HALF * reach(weight, factor) + LEVELS / 2 * reach(layer.rest, factor)
    error = np.sqrt(len(input_step)) * error + HALF * float(factor.largest @ layer.step)
    sums = factor.largest @ (layer.step * np.maximum(start + layer.highest, 0))
    promised = np.abs(start).max() <= LARGEST
    start = np.clip(start, -LARGEST, LARGEST).astype(np.int32)
    return Hidden(layer.code, start, layer.step, sums, np.asarray(error if promised else np.inf))


def _plain(code: Int8) -> Int8:
    """int8 [rows / together, groups, together, 4] -> int8 [rows, 4 * groups]."""
    return code.transpose(0, 2, 1, 3).reshape(code.shape[0] * code.shape[2], -1)


@compiled
def _fold(
    vec: Float32,
    user: Int64,
    least: Float64,
    most: Float64,
    step: Float64,
    centre: Float64,
    code: UInt8,
    both: Float64,
    distance: Float64,
) -> None:
    hidden = len(least)
    for i in range(len(user)):
        square = 0.0
        for h in range(hidden):
            a = np.float64(vec[user[i], h])
            exact = (min(max(-a, least[h]), most[h]) - least[h]) / step[h]
            near = np.rint(exact)
            code[i, h] = np.uint8(near)
            square += (exact - near) * (exact - near)
            both[i, h] = max(a, -most[h])
            both[i, hidden + h] = max(near, centre[h])
        distance[i] = np.sqrt(square)
