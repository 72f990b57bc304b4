"""A catalogue for an MLP head in 8-bit integers: relu(a + b) = max(b, -a) + a, so a pair's first layer is one maximum.

Tiles of items have a range of their own for each column; the items stand by falling size, so that the few with large
numbers spoil the steps of few tiles. A random sample comes first, as for dot products.
"""

from typing import NamedTuple

import numpy as np

from rec_export.topk.contract import Float32, Float64, Int64
from rec_export.topk.network import Network, coded, reach
from rec_export.topk.panels import UInt8, filled, laid_out, most_of_tiles, raised, sample_and_rest
from rec_export.topk.quantise import ENOUGH, GROUP, Columns, Int8, encode, measure, step_of
from rec_export.topk.vnni_rows import ROWS

LEVELS = 255
TINY = 1e-9  # codes: far above what float64 rounds off a column, far below a residual


class Tiles(NamedTuple):
    """What the items of a tile share.

    least, most, step, centre float64 [tiles, H]: the range of each column, its step, the mean of its codes.
    residual, spread float64 [tiles]: the largest distance of (b - least) / step from its codes; of these from centre.
    weight int8 [tiles, O / together, groups, together, 4]; weight_step, highest float64 [tiles, O]: as in Coded, of the
    first layer's weights times the steps.
    reach, rest_reach float64 [tiles]: how far these weights carry, and what their codes leave of them.
    size float64 [tiles]: what the columns' ranges and those rests could add up to in the score, all signs positive.
    """

    least: Float64
    most: Float64
    step: Float64
    centre: Float64
    residual: Float64
    spread: Float64
    weight: Int8
    weight_step: Float64
    highest: Float64
    reach: Float64
    rest_reach: Float64
    size: Float64


class Dots(NamedTuple):
    """Of the dot part, float64 [tiles] each: step of a tile's codes, largest size and residual, as in Panels."""

    step: Float64
    size: Float64
    residual: Float64


class Folded(NamedTuple):
    """N items at places 0..P-1, whole tiles of 2^bits places; a place that no item fills has the row -1.

    code uint8 [P / 64, groups, 64, 4]: (b - least) / step, rounded.
    dot_code uint8 [P / 64, dot groups, 64, 4]: as in Panels.
    row int64 [P], place int64 [N], sample: as in Panels.
    """

    code: UInt8
    dot_code: UInt8
    tiles: Tiles
    dots: Dots
    row: Int64
    place: Int64
    bits: int
    sample: int


def folded_of(vec: Float32, network: Network, columns: Columns, bits: int) -> Folded:
    """float32 [N, H + D], N at least 1; tiles of 2^bits places, bits at least 6."""
    hidden, tile = network.first.shape[1], 1 << bits
    height = _height(vec[:, :hidden], network)
    parts = [filled(part[np.argsort(-height[part], kind="stable")], tile) for part in sample_and_rest(len(vec))]
    row = np.concatenate(parts)
    place = np.empty(len(vec), np.int64)
    place[row[row >= 0]] = np.flatnonzero(row >= 0)
    code = np.zeros((len(row), -(-hidden // GROUP) * GROUP), np.uint8)
    tiles = [_tile(vec, row[at : at + tile], code[at : at + tile], network) for at in range(0, len(row), tile)]
    dot_code, dots = _dots(vec[:, hidden:], row, columns, tile)
    return Folded(
        code=laid_out(code),
        dot_code=dot_code,
        tiles=Tiles(*(np.stack(part) for part in zip(*tiles, strict=True))),
        dots=dots,
        row=row,
        place=place,
        bits=bits,
        sample=len(parts[0]) // tile,
    )


def _height(vec: Float32, network: Network) -> Float64:
    """float32 [N, H] -> float64 [N]: how far an item lies from the others, as the score sees it."""
    weight = np.square(network.first_range.largest @ np.abs(network.first))
    middle = np.median(vec[:: len(vec) // ENOUGH + 1], axis=0)
    height: Float64 = (np.square(vec.astype(np.float64) - middle) * weight).sum(axis=1)
    return height


def _tile(vec: Float32, row: Int64, code: UInt8, network: Network) -> Tiles:
    """Write a tile's codes; what its items share, without the axis of tiles."""
    own, hidden = np.flatnonzero(row >= 0), network.first.shape[1]
    b = vec[row[own], :hidden].astype(np.float64)
    least, most = b.min(axis=0), b.max(axis=0)
    step = np.where(most > least, (most - least) / LEVELS, 1.0)
    exact = (b - least) / step
    codes = np.rint(exact)
    code[own, :hidden] = codes
    centre = codes.mean(axis=0)
    layer = coded(network.first * step, 1 if network.linear else ROWS)
    outer = np.abs(network.first) @ np.maximum(np.abs(least), np.abs(most))
    return Tiles(
        least,
        most,
        step,
        centre,
        residual=np.sqrt(np.square(exact - codes).sum(axis=1)).max() + TINY,
        spread=np.sqrt(np.square(codes - centre).sum(axis=1)).max() + TINY,
        weight=layer.code,
        weight_step=layer.step,
        highest=layer.highest,
        reach=np.asarray(reach(network.first * step, network.first_range)),
        rest_reach=np.asarray(reach(layer.rest, network.first_range)),
        size=network.first_range.largest @ (2 * outer + LEVELS * np.abs(layer.rest).sum(axis=1)),
    )


def _dots(vec: Float32, row: Int64, columns: Columns, tile: int) -> tuple[UInt8, Dots]:
    """The dot part, in the same order."""
    rows = measure(vec, columns)
    step = step_of(most_of_tiles(np.where(row < 0, 0, rows.largest[row]), tile))
    codes = encode(vec, row, columns, np.repeat(step, tile))
    dots = Dots(step, most_of_tiles(codes.size, tile), most_of_tiles(codes.residual, tile))
    return laid_out(raised(codes.code)), dots
