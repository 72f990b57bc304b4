"""Triton kernels that score users and items and keep the largest score of each group: no scores are written to memory.

What a user must not get is told by bits: bit i of a word, int32, is item i of its group.

Importing this needs Triton: only fused.py does.
"""

# Triton calls a kernel with values of its own, which have no types here, and reads its capitals as constants.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, N803

import triton
import triton.language as tl


@triton.jit
def best_unseen(score, barred, GROUP: tl.constexpr):
    """float32 [B, G * GROUP], int32 [B, G] -> float32 [B, G]."""
    users: tl.constexpr = barred.shape[0]
    groups: tl.constexpr = barred.shape[1]
    bit = (barred[:, :, None] >> tl.arange(0, GROUP)[None, None, :]) & 1
    score = tl.reshape(score, (users, groups, GROUP))
    return tl.max(tl.where(bit == 1, float("-inf"), score), axis=2)


@triton.jit(do_not_specialize=["users", "groups", "tiles"])
def dot_maxima(
    user_ptr, item_ptr, barred_ptr, maxima_ptr, users, groups, tiles,
    DIM: tl.constexpr, USERS: tl.constexpr, ITEMS: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """bfloat16 [users, DIM], bfloat16 [groups * GROUP, DIM], int32 [users, groups] -> float32 [users, groups].

    A program has USERS users and up to `tiles` tiles of ITEMS items, whose products are summed in float32.
    """
    per_tile: tl.constexpr = ITEMS // GROUP
    user = tl.program_id(0).to(tl.int64) * USERS + tl.arange(0, USERS)
    there = (user < users)[:, None]
    column = tl.arange(0, DIM)
    own = tl.load(user_ptr + user[:, None] * DIM + column[None, :], mask=there, other=0.0)
    first = tl.program_id(1) * tiles
    for tile in range(first, tl.minimum(first + tiles, groups // per_tile)):
        item = tile * ITEMS + tl.arange(0, ITEMS).to(tl.int64)
        score = tl.dot(own, tl.load(item_ptr + item[None, :] * DIM + column[:, None]))
        place = user[:, None] * groups + (tile * per_tile + tl.arange(0, per_tile))[None, :]
        barred = tl.load(barred_ptr + place, mask=there, other=0)
        tl.store(maxima_ptr + place, best_unseen(score, barred, GROUP), mask=there)


@triton.jit
def cut(number):
    """float32 -> the nearest number with 8 bits, as a bfloat16 has them, still float32."""
    return ((number.to(tl.int32, bitcast=True) + 0x8000) & -0x10000).to(tl.float32, bitcast=True)


@triton.jit
def relu_layer(number, most, rest, bias):
    """float32 [n, I], weights bfloat16 [I, O] in two parts, bias float32 [O] -> float32 [n, O].

    Of the four products of parts the smallest is left out; the others are added to one sum, the largest last.
    """
    own = cut(number)
    left = cut(number - own).to(most.dtype)
    own = own.to(most.dtype)
    total = tl.dot(own, most, tl.dot(own, rest, tl.dot(left, most)))
    return tl.maximum(total + bias[None, :], 0.0)


@triton.jit
def weights(weight_ptr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr):
    """bfloat16 [INPUTS, OUTPUTS] twice, as they follow one another."""
    place = tl.arange(0, INPUTS)[:, None] * OUTPUTS + tl.arange(0, OUTPUTS)[None, :]
    return tl.load(weight_ptr + place), tl.load(weight_ptr + INPUTS * OUTPUTS + place)


@triton.jit(do_not_specialize=["users", "groups", "each"])
def network_maxima(
    user_ptr, item_ptr, weight_ptr, single_ptr, barred_ptr, maxima_ptr, users, groups, each,
    HIDDEN: tl.constexpr, SECOND: tl.constexpr, THIRD: tl.constexpr, DOT: tl.constexpr,
    ITEMS: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """float32 [users, HIDDEN + DOT], [groups * GROUP, HIDDEN + DOT], layers, int32 [users, groups] -> float32 of these.

    bfloat16: the weights of the layers but the last, each in two parts; float32: their biases, and the last layer.
    SECOND, THIRD, DOT: 0 where there is none. A program has ITEMS items, which stay, and up to `each` users, who pass
    one by one.
    """
    per_tile: tl.constexpr = ITEMS // GROUP
    hidden = tl.arange(0, HIDDEN)
    item_ptr += (tl.program_id(0).to(tl.int64) * ITEMS + tl.arange(0, ITEMS)[:, None]) * (HIDDEN + DOT)
    item = tl.load(item_ptr + hidden[None, :])
    if SECOND > 0:
        most_1, rest_1 = weights(weight_ptr, HIDDEN, SECOND)
        bias_1 = tl.load(single_ptr + tl.arange(0, SECOND))
    if THIRD > 0:
        most_2, rest_2 = weights(weight_ptr + 2 * HIDDEN * SECOND, SECOND, THIRD)
        bias_2 = tl.load(single_ptr + SECOND + tl.arange(0, THIRD))
    last: tl.constexpr = THIRD if THIRD > 0 else SECOND if SECOND > 0 else HIDDEN
    weight = tl.load(single_ptr + SECOND + THIRD + tl.arange(0, last))
    bias = tl.load(single_ptr + SECOND + THIRD + last)
    first = tl.program_id(1) * each
    for user in range(first, tl.minimum(first + each, users)):
        own_ptr = user_ptr + user * (HIDDEN + DOT)
        number = tl.maximum(tl.load(own_ptr + hidden)[None, :] + item, 0.0)
        if SECOND > 0:
            number = relu_layer(number, most_1, rest_1, bias_1)
        if THIRD > 0:
            number = relu_layer(number, most_2, rest_2, bias_2)
        score = tl.sum(number * weight[None, :], axis=1) + bias
        if DOT > 0:
            dot = HIDDEN + tl.arange(0, DOT)
            own = tl.load(own_ptr + dot)[None, :]
            score += tl.sum(own * tl.load(item_ptr + dot[None, :]), axis=1)  # read again: registers are scarce
        group = tl.program_id(0) * per_tile + tl.arange(0, per_tile)
        place = (user * groups.to(tl.int64) + group)[None, :]
        tl.store(maxima_ptr + place, best_unseen(score[None, :], tl.load(barred_ptr + place), GROUP))
