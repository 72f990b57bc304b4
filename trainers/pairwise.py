"""Learning from pairs, compiled: each liking against one item that its user does not like, and three rows move.

A step costs what three rows cost, whatever the length of the tables: memory binds it, so rows are asked for a few steps
before they are needed.
"""

from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rec_export.data.columns import Float32
from rec_export.topk.compiled import reordered

Int32 = npt.NDArray[np.int32]

AHEAD = 16  # steps for which rows are asked for together
LINE = 64  # bytes that memory gives at once
ONE = np.float32(1)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@final
class Likings(NamedTuple):
    """What users like, by user and then by item."""

    user: Int32  # [S]
    item: Int32  # [S]
    weight: Float32  # [S] of the gradient; or [1], of all alike
    start: npt.NDArray[np.int64]  # [U + 1] where each user's begin


@final
class Tables(NamedTuple):
    """The weights, and beside each row the sum of its squared gradients, above 0; all move in place."""

    user: Float32  # [U, D]
    item: Float32  # [N, D]
    bias: Float32  # [N]
    user_square: Float32  # [U]
    item_square: Float32  # [N]


def prefetch(context: Any, table: Any, row: Any) -> Any:
    """Ask for a row of a table float32 [R, D]: nothing is computed, nothing waits."""

    def code(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = target.make_array(table)(target, builder, arguments[0])
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        ask = llvm.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        stride = llvm.unpack_tuple(builder, array.strides)[0]
        first = builder.gep(builder.bitcast(array.data, byte), [builder.mul(arguments[1], stride)])
        with llvm.for_range_slice(builder, stride.type(0), stride, stride.type(LINE)) as (offset, _):
            builder.call(ask, [builder.gep(first, [offset]), flag(1), flag(3), flag(1)])  # to write, soon, data
        return target.get_dummy_value()

    return types.void(table, types.intp), code


llvm: Any = cgutils
ask_for: Any = intrinsic(prefetch)


@reordered
def scrambled(key: np.uint64) -> np.uint64:
    """A random number for each key: Steele et al. 2014, Fast Splittable Pseudorandom Number Generators (OOPSLA)."""
    mixed = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@reordered
def drawn(liked: Int32, first: int, stop: int, items: int, key: np.uint64) -> int:
    """One of the items that are not among liked[first:stop], ascending, each as likely; -1 where there is none.

    The n-th of them is found by bisection, so that nothing is drawn in vain, however much a user likes.
    """
    free = items - (stop - first)
    if free <= 0:
        return -1
    n = np.int64(((scrambled(key) >> np.uint64(32)) * np.uint64(free)) >> np.uint64(32))
    low, high = first, stop
    while low < high:
        middle = (low + high) >> 1
        if liked[middle] - (middle - first) <= n:
            low = middle + 1
        else:
            high = middle
    return int(n + low - first)


@reordered
def step(tables: Tables, u: int, i: int, j: int, weight: np.float32, rate: np.float32, decay: np.float32) -> float:
    """One step for user u, liked item i and other item j; the loss before, -log sigmoid(x_ui - x_uj).

    Rendle et al. 2009, with one Adagrad rate a row (Duchi et al. 2011, Adaptive Subgradient Methods) from the mean of
    squares over its numbers; the regularization, which weighs as the liking does, is outside that mean.
    """
    user, liked, other = tables.user[u], tables.item[i], tables.item[j]
    width = len(user)
    gap, own, apart = tables.bias[i] - tables.bias[j], ONE, np.float32(0)
    for d in range(width):
        difference = liked[d] - other[d]
        gap += user[d] * difference
        own += user[d] * user[d]
        apart += difference * difference
    slope, hold = weight / (ONE + np.exp(gap)), weight * decay
    tables.user_square[u] += slope * slope * apart / np.float32(width)
    tables.item_square[i] += slope * slope * own / np.float32(width + 1)
    tables.item_square[j] += slope * slope * own / np.float32(width + 1)
    user_rate = rate / np.sqrt(tables.user_square[u])
    liked_rate = rate / np.sqrt(tables.item_square[i])
    other_rate = rate / np.sqrt(tables.item_square[j])
    for d in range(width):
        a, b, c = user[d], liked[d], other[d]
        user[d] += user_rate * (slope * (b - c) - hold * a)
        liked[d] += liked_rate * (slope * a - hold * b)
        other[d] -= other_rate * (slope * a + hold * c)
    tables.bias[i] += liked_rate * (slope - hold * tables.bias[i])
    tables.bias[j] -= other_rate * (slope + hold * tables.bias[j])
    return weight * (max(-gap, 0.0) + np.log1p(np.exp(-abs(np.float64(gap)))))


@reordered
def learn(
    tables: Tables, likings: Likings, order: Int32, reject: bool, rate: np.float32, decay: np.float32, key: np.uint64
) -> float:
    """A step for each liking int32 [n] of `order`; the sum of the losses. `key` decides what is drawn.

    With `reject` no item is drawn that the user likes; a user who likes everything is passed over.
    """
    total = 0.0
    alike = len(likings.weight) == 1
    other = np.empty(AHEAD, np.int64)
    for first in range(0, len(order), AHEAD):
        ahead = order[first : first + AHEAD]
        for place in ahead:
            ask_for(tables.user, likings.user[place])
            ask_for(tables.item, likings.item[place])
        for n, place in enumerate(ahead):
            u = likings.user[place]
            start = likings.start[u]
            stop = likings.start[u + 1] if reject else start
            other[n] = drawn(likings.item, start, stop, len(tables.bias), key + np.uint64(first + n) * GOLDEN)
            ask_for(tables.item, max(other[n], 0))
        for n, place in enumerate(ahead):
            if other[n] >= 0:
                u, i = likings.user[place], likings.item[place]
                total += step(tables, u, i, other[n], likings.weight[0 if alike else place], rate, decay)
    return total
