"""A catalogue in the order and the layout in which it is scanned: a random sample first, each part by falling norm."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec_export.topk.contract import Float32, Float64, Int64
from rec_export.topk.quantise import GROUP, Columns, Int8, Rows, encode, measure, step_of

UInt8 = npt.NDArray[np.uint8]

PANEL = 64  # items that the kernel meets at once: four registers of 16
LINE = 64  # bytes: an aligned load of a register touches one line of the cache
SAMPLED = 32  # one item in so many is in the sample


class Panels(NamedTuple):
    """N items at places 0..P-1, whole tiles of 2^bits places; a place that no item fills has the row -1.

    code uint8 [P / 64, groups, 64, 4]: the codes plus 128, as the kernel reads them.
    row int64 [P]: which item stands at each place.
    place int64 [N]: where each item stands.
    step, size, residual float64 [tiles]: the step of a tile's codes, and the largest size and residual in it.
    reach float64 [tiles]: the largest norm in a tile; in the later tiles of the same part there is no larger one.
    sample: how many tiles the sample takes; they come first.
    """

    code: UInt8
    row: Int64
    place: Int64
    step: Float64
    size: Float64
    residual: Float64
    reach: Float64
    bits: int
    sample: int


def panels_of(vec: Float32, columns: Columns, bits: int) -> Panels:
    """float32 [N, D], N at least 1; tiles of 2^bits places, bits at least 6."""
    tile = 1 << bits
    rows = measure(vec, columns)
    parts = [filled(part[np.argsort(-rows.norm[part], kind="stable")], tile) for part in sample_and_rest(len(vec))]
    row = np.concatenate(parts)
    step = step_of(most_of_tiles(np.where(row < 0, 0, rows.largest[row]), tile))
    codes = encode(vec, row, columns, np.repeat(step, tile))
    place = np.empty(len(vec), np.int64)
    place[row[row >= 0]] = np.flatnonzero(row >= 0)
    return Panels(
        code=laid_out(raised(codes.code)),
        row=row,
        place=place,
        step=step,
        size=most_of_tiles(codes.size, tile),
        residual=most_of_tiles(codes.residual, tile),
        reach=np.concatenate([_reach(rows, part, tile) for part in parts]),
        bits=bits,
        sample=len(parts[0]) // tile,
    )


def sample_and_rest(items: int) -> tuple[Int64, Int64]:
    """The sample, drawn alike each time, and the rest."""
    shuffled = np.random.default_rng(0).permutation(items)
    return shuffled[: items // SAMPLED], shuffled[items // SAMPLED :]


def filled(row: Int64, tile: int) -> Int64:
    """Rows of -1 until the last tile is whole."""
    return np.pad(row, (0, -len(row) % tile), constant_values=-1)


def most_of_tiles(value: Float64, tile: int) -> Float64:
    """float64 [P] -> the largest of each tile."""
    most: Float64 = value.reshape(-1, tile).max(axis=1)
    return most


def _reach(rows: Rows, row: Int64, tile: int) -> Float64:
    return most_of_tiles(np.where(row < 0, 0, rows.norm[row]), tile)  # they fall already


def laid_out(code: UInt8) -> UInt8:
    """uint8 [P, 4 * groups] -> uint8 [P / 64, groups, 64, 4], at a multiple of 64 bytes."""
    panels, groups = len(code) // PANEL, code.shape[1] // GROUP
    laid = aligned(code.size).reshape(panels, groups, PANEL, GROUP)
    fours = code.view(np.int32).reshape(panels, PANEL, groups).transpose(0, 2, 1)
    laid.view(np.int32)[..., 0] = fours
    return laid


def raised(code: Int8) -> UInt8:
    """The codes plus 128."""
    return np.bitwise_xor(code.view(np.uint8), np.uint8(128))


def aligned(size: int) -> UInt8:
    """So many zero bytes at a multiple of 64."""
    buffer = np.zeros(size + LINE, np.uint8)
    start = -buffer.ctypes.data % LINE
    return buffer[start : start + size]
