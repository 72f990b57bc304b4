"""The tail of an MLP head as the 8-bit scan reads it, and how far a score moves with what is rounded in its layers.

docs/topk.md proves what stands here. A `Range` says how a score changes with each number of a layer, before its relu:
by a factor from `least` to `most`, whatever the vectors are.
"""

from typing import NamedTuple

import numpy as np

from rec_export.topk.contract import Float64
from rec_export.topk.form import Form
from rec_export.topk.quantise import GROUP, Int8
from rec_export.topk.vnni_rows import ROWS

LEVELS = 127


class Range(NamedTuple):
    """float64 [rows], twice: the least factor, 0 or below, and the largest, 0 or above; or one that is fixed."""

    least: Float64
    most: Float64

    @property
    def largest(self) -> Float64:
        """float64 [rows]: the largest magnitude."""
        return np.maximum(np.abs(self.least), np.abs(self.most))


class Network(NamedTuple):
    """tail(x) = last . relu(second relu(first x + bias) + second_bias), less what is the same for all items.

    first float64 [O, H], bias float64 [O]; second float64 [O2, O], second_bias float64 [O2]; O and O2 are filled up
    with zeros to multiples of ROWS. Without a second hidden layer second is [0, O]; without any, first is [1, H] and no
    relu follows.
    last float64 [O2], or [O], or [1]: for a first layer that is also the last, just 1.
    first_range, second_range: how the score moves with what these layers give.
    constant: what the biases, all positive, could add up to.
    """

    first: Float64
    bias: Float64
    second: Float64
    second_bias: Float64
    last: Float64
    first_range: Range
    second_range: Range
    constant: float

    @property
    def linear(self) -> bool:
        """Whether no relu follows the first layer."""
        return len(self.first) == 1


class Coded(NamedTuple):
    """A layer's weights V, with the steps of its inputs in them, as integers: V = step code + rest.

    code int8 [rows / together, groups, together, 4]: as the kernel reads them.
    step float64 [rows]; rest float64 [rows, inputs].
    highest float64 [rows]: no product of a row's codes with codes from 0 to 255 is larger.
    """

    code: Int8
    step: Float64
    rest: Float64
    highest: Float64


def network_of(form: Form) -> Network:
    """The tail of a form with one to three layers."""
    weights = [layer.weight.double().numpy() for layer in form.tail]
    biases = [layer.bias.double().numpy() for layer in form.tail]
    constant = abs(float(biases[-1][0]))
    none = np.zeros(0)
    if len(weights) == 1:
        one = np.ones(1)
        return Network(
            weights[0], np.zeros(1), np.zeros((0, 1)), none, one, Range(one, one), Range(none, none), constant
        )
    last = _filled(weights[-1][0])
    own = Range(np.minimum(last, 0), np.maximum(last, 0))
    first, bias = _filled(weights[0]), _filled(biases[0])
    if len(weights) == 2:
        constant += float(own.largest @ np.abs(bias))
        return Network(first, bias, np.zeros((0, len(first))), none, last, own, Range(none, none), constant)
    second, second_bias = np.pad(_filled(weights[1]), ((0, 0), (0, -weights[1].shape[1] % ROWS))), _filled(biases[1])
    before = range_before(second, own)
    constant += float(own.largest @ np.abs(second_bias) + before.largest @ np.abs(bias))
    return Network(first, bias, second, second_bias, last, before, own, constant)


def range_before(weight: Float64, after: Range) -> Range:
    """The range of a layer's inputs, before their relu, by that of its outputs; float64 [rows, inputs]."""
    ends = np.stack([after.least[:, None] * weight, after.most[:, None] * weight])
    return Range(np.minimum(ends.min(0), 0).sum(0), np.maximum(ends.max(0), 0).sum(0))


def reach(matrix: Float64, factor: Range) -> float:
    """max |M^T g| over all g within the range, or a little more; float64 [rows, inputs]."""
    product = matrix @ matrix.T
    ends = [np.outer(a, b) for a in factor for b in factor]
    return float(np.sqrt(max(0.0, np.maximum.reduce([end * product for end in ends]).sum())))


def coded(matrix: Float64, together: int) -> Coded:
    """float64 [rows, inputs], rows a multiple of `together`."""
    rows, inputs = matrix.shape
    largest = np.abs(matrix).max(axis=1, initial=0)
    step = np.where(largest > 0, largest / LEVELS, 1.0)
    code = np.clip(np.rint(matrix / step[:, None]), -LEVELS, LEVELS)
    whole = np.pad(code, ((0, 0), (0, -inputs % GROUP))).astype(np.int8)
    laid = whole.reshape(rows // together, together, -1, GROUP).transpose(0, 2, 1, 3)
    rest = matrix - step[:, None] * code
    return Coded(np.ascontiguousarray(laid), step, rest, 255 * np.maximum(code, 0).sum(axis=1))


def _filled(rows: Float64) -> Float64:
    """Zeros to a multiple of ROWS rows."""
    return np.pad(rows, [(0, -len(rows) % ROWS)] + [(0, 0)] * (rows.ndim - 1))
