"""The definition of a score: float64, in one fixed order of operations. Every engine ends here, so all of them agree.

For a head of the form tail(relu(a_u + b_i)) + <p_u, q_i>, every number is float32 first, then widened to float64:

    x[h]    = a[h] + b[h], or 0 if that is below 0
    y[o]    = (((bias[o] + weight[o, 0] x[0]) + weight[o, 1] x[1]) + ...)      then x = relu(y), but not after the last
    dot     = (((0 + p[0] q[0]) + p[1] q[1]) + ...)
    score   = y[0] + dot, or the one of the two that the head has

For a head of the form tail(<p_u, q_i>) dot is the input of the first layer, as it is, and the score is y[0].

Each product, each sum is rounded on its own. Nothing is summed in another order, so the bits of a score depend on
the two vectors and the head alone. (p[d] q[d] is exact: two times 24 bits fit in 53. So the dot part cannot overflow.)
"""

import numpy as np

from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float32, Float64, Int64
from rec_export.topk.form import Form
from rec_export.topk.lanes import LANES, dots, fetch

TOGETHER = 32  # pairs of a user that are worked on side by side: as many sums as hide the latency of one
AHEAD = 16  # pairs between the one that is worked on and the one whose item is brought from memory
LINE, BROUGHT = 64, 512  # bytes of a line of the cache, and of an item at most: the processor guesses what follows


def score_pairs(form: Form, user_vec: Float32, item_vec: Float32, start: Int64, item_row: Int64) -> Float64:
    """float32 [B, D], float32 [N, D], int64 [B + 1], int64 [pairs] -> float64 [pairs].

    The pairs of user b are those with the items item_row[start[b] : start[b + 1]].
    """
    score = np.zeros(len(item_row))
    if form.hidden > 0:
        _write_tails(user_vec, item_vec, start, item_row, *form.flat, score)
    if form.dot > 0:
        _add_dots(user_vec, np.ascontiguousarray(item_vec), start, item_row, form.hidden, score)
    if form.scalar:
        through_tail(*form.flat, score)
    return score


@compiled
def through_tail(size: Int64, weight: Float64, bias: Float64, number: Float64) -> None:
    """The tail of one number each, in place: float64 [n]."""
    x, y = np.zeros((size.max(), TOGETHER)), np.zeros((size.max(), TOGETHER))
    for begin in range(0, len(number), TOGETHER):
        some = number[begin : begin + TOGETHER]
        x[0, : len(some)] = some
        some[:] = _last(x, y, size, weight, bias, False)[0, : len(some)]


@compiled
def _write_tails(
    user_vec: Float32,
    item_vec: Float32,
    start: Int64,
    item_row: Int64,
    size: Int64,
    weight: Float64,
    bias: Float64,
    score: Float64,
) -> None:
    for user in range(len(start) - 1):
        own = slice(start[user], start[user + 1])
        _write_tail(user_vec[user], item_vec, item_row[own], size, weight, bias, score[own])


@compiled
def _add_dots(user_vec: Float32, item_vec: Float32, start: Int64, item_row: Int64, first: int, score: Float64) -> None:
    """Eight pairs at a time, and the items of others come from memory meanwhile: the wait was longer than the work."""
    width, last, stride = user_vec.shape[1] - first, len(item_row) - 1, item_vec.strides[0]
    whole, items = width - width % LANES, item_vec.ctypes.data + 4 * first
    row, total = np.empty(LANES, np.int64), np.empty(LANES)
    for user in range(len(start) - 1):
        own, end = user_vec[user, first:].astype(np.float64), start[user + 1]
        for begin in range(start[user], end, LANES):
            for lane in range(LANES):
                row[lane] = item_row[min(begin + lane, end - 1)]
                later = items + stride * item_row[min(begin + lane + AHEAD, last)]
                for byte in range(0, min(4 * width, BROUGHT), LINE):
                    fetch(later + byte)
            dots(own.ctypes.data, items, stride, row.ctypes.data, whole, total.ctypes.data)
            for lane in range(min(LANES, end - begin)):
                for d in range(whole, width):
                    total[lane] += own[d] * np.float64(item_vec[row[lane], first + d])
                score[begin + lane] += total[lane]


@compiled
def _write_tail(
    user: Float32, item_vec: Float32, row: Int64, size: Int64, weight: Float64, bias: Float64, score: Float64
) -> None:
    x, y = np.zeros((size.max(), TOGETHER)), np.zeros((size.max(), TOGETHER))
    for begin in range(0, len(row), TOGETHER):
        some = row[begin : begin + TOGETHER]
        for pair in range(len(some)):
            for h in range(size[0]):
                x[h, pair] = np.float64(user[h]) + np.float64(item_vec[some[pair], h])
        score[begin : begin + len(some)] = _last(x, y, size, weight, bias, True)[0, : len(some)]


@compiled
def _last(x: Float64, y: Float64, size: Int64, weight: Float64, bias: Float64, rectified: bool) -> Float64:
    """What the layers make of x, in one of the two: the first reads relu(x), or x itself where not `rectified`."""
    at_weight, at_bias = 0, 0
    for layer in range(len(size) - 1):
        inputs, outputs = size[layer], size[layer + 1]
        if rectified or layer > 0:
            _relu(x[:inputs])
        next_weight, next_bias = at_weight + inputs * outputs, at_bias + outputs
        _write_layer(x, weight[at_weight:next_weight].reshape(outputs, inputs), bias[at_bias:next_bias], y)
        x, y, at_weight, at_bias = y, x, next_weight, next_bias
    return x


@compiled
def _relu(x: Float64) -> None:
    for h in range(len(x)):
        for pair in range(TOGETHER):
            x[h, pair] = 0.0 if x[h, pair] < 0.0 else x[h, pair]  # a NaN stays one


@compiled
def _write_layer(x: Float64, weight: Float64, bias: Float64, y: Float64) -> None:
    """Four inputs at a time, added from left to right: the order of one at a time, without the stores between."""
    outputs, inputs = weight.shape
    four = inputs - inputs % 4
    for o in range(outputs):
        y[o, :] = bias[o]
        for h in range(0, four, 4):
            w0, w1, w2, w3 = weight[o, h], weight[o, h + 1], weight[o, h + 2], weight[o, h + 3]
            for p in range(TOGETHER):
                y[o, p] = y[o, p] + w0 * x[h, p] + w1 * x[h + 1, p] + w2 * x[h + 2, p] + w3 * x[h + 3, p]
        for h in range(four, inputs):
            for p in range(TOGETHER):
                y[o, p] += weight[o, h] * x[h, p]
