"""Vectors as 8-bit integers, and how far from them they lie: so a product of integers bounds a dot product.

Each column of the items is shifted as near to zero as can be for all items at once (a column of ones vanishes, nothing
grows) and divided by the root of its size, by which the users' column is multiplied: so a bias that is large beside the
factors leaves them their digits. Neither changes an order: a shift adds one number to all scores of a user.
docs/topk.md proves the bound; the margins here are its rounding errors.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float32, Float64, Int64

Int8 = npt.NDArray[np.int8]

WIDEST = 1 << 16  # columns whose products, at most 255 * 127 each, still add up within an int32
LEVELS = 127
ENOUGH = 4096  # items that tell how large a column is: it need not be exact
GROUP = 4  # products that one instruction adds


class Columns(NamedTuple):
    """What is taken from each column, and what the rest is multiplied by: float64 [D], twice."""

    shift: Float64
    scale: Float64


class Rows(NamedTuple):
    """Rows b = (vec - shift) * scale.

    norm float64 [n]: no less than |b|, whatever was rounded.
    largest float64 [n]: the largest component.
    """

    norm: Float64
    largest: Float64


class Codes(NamedTuple):
    """The integers q nearest to b / step, for a step of each row; size and residual are no less than what they bound.

    code int8 [n, 4 * groups]: q, from -127 to 127; the last columns are zero.
    size float64 [n]: |step * q|.
    residual float64 [n]: |b - step * q|, and the roundings of b and of all that is made of the codes.
    """

    code: Int8
    size: Float64
    residual: Float64


def columns_of(vec: Float32) -> tuple[Columns, Columns]:
    """float32 [N, D], N at least 1 -> the columns of the items, and of the users who will meet them.

    The scales are powers of two, so that they round nothing; a column that is equal for all items has no users' column.
    """
    least, most = vec.min(axis=0).astype(np.float64), vec.max(axis=0).astype(np.float64)
    shift = np.clip(0.0, least, most)
    size = np.sqrt(np.square(vec[:: len(vec) // ENOUGH + 1] - shift).mean(axis=0))
    scale = np.exp2(np.rint(-np.log2(np.where(size > 0, size, 1)) / 2))
    return Columns(shift, scale), Columns(np.zeros_like(shift), np.where(least == most, 0, 1 / scale))


def rounding(width: int) -> float:
    """A multiple of the unit of float64, 2^-53, that covers every chain of roundings over so many columns."""
    return (4 * width + 64) * 2.0**-53


def measure(vec: Float32, columns: Columns) -> Rows:
    """float32 [n, D] -> the sizes of its rows."""
    norm, largest = np.zeros((2, len(vec)))
    _measure(vec, *columns, norm, largest)
    return Rows(norm * (1 + rounding(vec.shape[1])), largest)


def step_of(largest: Float64) -> Float64:
    """The step at which a component so large is coded as 127; where all are zero, any would do."""
    return np.where(largest > 0, largest / LEVELS, 1.0)


def encode(vec: Float32, row: Int64, columns: Columns, step: Float64) -> Codes:
    """float32 [N, D], int64 [n], float64 [n] -> codes of the rows named; a row of -1 is all zeros."""
    width = vec.shape[1]
    code = np.zeros((len(row), -(-width // GROUP) * GROUP), np.int8)
    size, residual = np.zeros((2, len(row)))
    _encode(vec, row, *columns, step, code, size, residual)
    margin = rounding(width)
    return Codes(code, size * (1 + margin), residual * (1 + margin) + size * 2 * margin)


@compiled
def _measure(vec: Float32, shift: Float64, scale: Float64, norm: Float64, largest: Float64) -> None:
    for i in range(len(vec)):
        square, most = 0.0, 0.0
        for d in range(vec.shape[1]):
            b = (np.float64(vec[i, d]) - shift[d]) * scale[d]
            square += b * b
            most = max(most, abs(b))
        norm[i], largest[i] = np.sqrt(square), most


@compiled
def _encode(
    vec: Float32,
    row: Int64,
    shift: Float64,
    scale: Float64,
    step: Float64,
    code: Int8,
    size: Float64,
    residual: Float64,
) -> None:
    for i in range(len(row)):
        if row[i] < 0:
            continue
        own, rest, per_step = 0.0, 0.0, 1 / step[i]
        for d in range(vec.shape[1]):
            b = (np.float64(vec[row[i], d]) - shift[d]) * scale[d]
            q = np.rint(b * per_step)
            code[i, d] = np.int8(q)
            coded = q * step[i]
            own += coded * coded
            rest += (b - coded) * (b - coded)
        size[i], residual[i] = np.sqrt(own), np.sqrt(rest)
