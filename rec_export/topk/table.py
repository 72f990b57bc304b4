"""A network of one number as a table: g between its kinks is a straight line, and this says how nearly.

The kinks are where some relu begins or ends; they are sought layer by layer, between nodes where a number changes its
sign. The bound does not trust that search. docs/topk.md proves it, from what was computed at the nodes alone:

    E = rounding in a layer's numbers            |z(x) - the straight line between the nodes| <= E, for all of them
    E + min(p, q) after a relu                   p and q: how far a number reaches above and below 0 in the piece
    |W| (E + min(p, q)) + rounding               in the next layer

So a kink that was missed costs tightness, and nothing else.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rec_export.topk.contract import Float64
from rec_export.topk.form import Layer

UNIT = 2.0**-53
TINY = 2.0**-900  # covers whatever is lost below the normal numbers
MARGIN = 1 + 2.0**-20  # covers the roundings of the bound itself
MOST = 1 << 14  # pieces: with more kinks than that, some are missed on purpose
NODES = 256  # worked on at once


class Table(NamedTuple):
    """g from -reach to reach, in pieces.

    node float64 [n + 1]: from -reach to reach, rising.
    value float64 [n + 1]: g there, as computed.
    error float64 [n]: no score of the definition in the piece is further from the line between its values; maybe inf.
    """

    node: Float64
    value: Float64
    error: Float64

    def at(self, number: Float64) -> Float64:
        """float64 [n] -> float64 [n]: on the lines."""
        return np.interp(number, self.node, self.value)

    def highest(self, low: Float64, high: Float64) -> Float64:
        """float64 [n], twice, low <= high -> float64 [n]: no number between the two has a larger score."""
        first, last = (np.clip(np.searchsorted(self.node, end) - 1, 0, len(self.error) - 1) for end in (low, high))
        above = np.append(-np.inf, self.error)
        tops = np.append(self.value + np.maximum(above, np.append(self.error, -np.inf)), -np.inf)
        within = np.maximum.reduceat(tops, np.stack([first + 1, last + 1], 1).ravel())[::2]
        ends = np.maximum(self.at(low) + self.error[first], self.at(high) + self.error[last])
        return np.maximum(ends, np.where(first < last, within, -np.inf))


@np.errstate(over="ignore", invalid="ignore")  # weights so large that nothing can be promised: then the error is inf
def table_of(tail: tuple[Layer, ...], reach: float) -> Table:
    """The table of a tail that reads one number, within -reach..reach."""
    layers = [(layer.weight.double().numpy(), layer.bias.double().numpy()) for layer in tail]
    node = kinks(layers, reach)
    value, error = np.empty(len(node)), np.empty(len(node) - 1)
    for some in overlapping(len(node)):
        value[some], error[some.start : some.stop - 1] = _line(layers, node[some])
    sound = np.isfinite(error) & np.isfinite(value[1:]) & np.isfinite(value[:-1])
    return Table(node, np.where(np.isfinite(value), value, 0.0), np.where(sound, error, np.inf))


def kinks(layers: list[tuple[Float64, Float64]], reach: float) -> Float64:
    """Where g bends between -reach and reach, and these two, rising: float64 [n + 1]."""
    node = np.array([-reach, reach])
    for depth in range(1, len(layers)):
        found = np.concatenate([_crossings(layers[:depth], node[some]) for some in overlapping(len(node))])
        node = np.unique(np.concatenate([node, found[np.abs(found) < reach]]))
        if len(node) > MOST:
            return node[np.unique(np.linspace(0, len(node) - 1, MOST).astype(np.int64))]
    return node


def overlapping(nodes: int) -> Iterator[slice]:
    """Some neighbours at a time, each time beginning with the last of the time before."""
    for first in range(0, nodes - 1, NODES):
        yield slice(first, min(first + NODES, nodes - 1) + 1)


def _crossings(layers: list[tuple[Float64, Float64]], node: Float64) -> Float64:
    """Where the numbers of the last of these layers, on lines between the nodes, change their signs."""
    z = _numbers(layers, node)
    at, unit = np.nonzero((z[:-1] < 0) != (z[1:] < 0))
    left, right = z[at, unit], z[at + 1, unit]
    return node[at] + (node[at + 1] - node[at]) * (left / (left - right))


def _numbers(layers: list[tuple[Float64, Float64]], node: Float64) -> Float64:
    """What the last of these layers gives at the nodes, before a relu: float64 [n, O]."""
    z = node[:, None]
    for place, (weight, bias) in enumerate(layers):
        z = (np.maximum(z, 0) if place > 0 else z) @ weight.T + bias
    return z


def _line(layers: list[tuple[Float64, Float64]], node: Float64) -> tuple[Float64, Float64]:
    """What g is at the nodes, float64 [n + 1], and the error of each piece, float64 [n]."""
    x, size = node[:, None], np.abs(node[:, None])
    error, roundings = np.zeros((len(node) - 1, 1)), 0
    for place, (weight, bias) in enumerate(layers):
        if place > 0:
            error = error + np.maximum(np.minimum(larger(x), larger(-x)), 0)
            x = np.maximum(x, 0)
        own = 2 * (weight.shape[1] + 3) * UNIT
        roundings += weight.shape[1] + 3
        magnitude = np.abs(weight).T
        error = error @ magnitude + larger(own * (np.abs(x) @ magnitude + np.abs(bias) + TINY))
        size = size @ magnitude + np.abs(bias) + TINY
        x = x @ weight.T + bias
    rounded = 2 * roundings * UNIT * larger(size[:, 0]) + 16 * UNIT * larger(np.abs(x[:, 0]))
    return x[:, 0], (error[:, 0] + rounded) * MARGIN


def larger(at_node: Float64) -> Float64:
    """The larger of each piece's two ends: float64 [n + 1, ...] -> float64 [n, ...]."""
    return np.maximum(at_node[1:], at_node[:-1])
