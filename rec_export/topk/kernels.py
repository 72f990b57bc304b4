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
def tf32(number):
    """float32, below 2^127 -> the nearest with 11 bits, so that a tensor core has nothing left to cut."""
    return ((number.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)


@triton.jit
def relu_layer(number, weight, bias):
    """float32 [n, I], [I, O], [O] -> [n, O]; the weights have 11 bits."""
    return tl.maximum(tl.dot(tf32(number), weight, input_precision="tf32") + bias[None, :], 0.0)


@triton.jit
def weights(layers_ptr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr):
    """float32 [INPUTS, OUTPUTS], [OUTPUTS], as they follow one another."""
    output = tl.arange(0, OUTPUTS)
    weight = tl.load(layers_ptr + tl.arange(0, INPUTS)[:, None] * OUTPUTS + output[None, :])
    return weight, tl.load(layers_ptr + INPUTS * OUTPUTS + output)


@triton.jit(do_not_specialize=["users", "groups", "each"])
def network_maxima(
    user_ptr, item_ptr, layers_ptr, barred_ptr, maxima_ptr, users, groups, each,
    HIDDEN: tl.constexpr, SECOND: tl.constexpr, THIRD: tl.constexpr, DOT: tl.constexpr,
    ITEMS: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """float32 [users, HIDDEN + DOT], [groups * GROUP, HIDDEN + DOT], layers, int32 [users, groups] -> float32 of these.

    Layers: weight and bias of each, one after the other; SECOND, THIRD, DOT: 0 where there is none. A program has ITEMS
    items, which stay, and up to `each` users, who pass one by one.
    """
    per_tile: tl.constexpr = ITEMS // GROUP
    hidden = tl.arange(0, HIDDEN)
    item_ptr += (tl.program_id(0).to(tl.int64) * ITEMS + tl.arange(0, ITEMS)[:, None]) * (HIDDEN + DOT)
    item = tl.load(item_ptr + hidden[None, :])
    if DOT > 0:
        item_dot = tl.load(item_ptr + HIDDEN + tl.arange(0, DOT)[None, :])
    if SECOND > 0:
        weight_1, bias_1 = weights(layers_ptr, HIDDEN, SECOND)
        layers_ptr += (HIDDEN + 1) * SECOND
    if THIRD > 0:
        weight_2, bias_2 = weights(layers_ptr, SECOND, THIRD)
        layers_ptr += (SECOND + 1) * THIRD
    last: tl.constexpr = THIRD if THIRD > 0 else SECOND if SECOND > 0 else HIDDEN
    weight = tl.load(layers_ptr + tl.arange(0, last))
    bias = tl.load(layers_ptr + last)
    first = tl.program_id(1) * each
    for user in range(first, tl.minimum(first + each, users)):
        own_ptr = user_ptr + user * (HIDDEN + DOT)
        number = tl.maximum(tl.load(own_ptr + hidden)[None, :] + item, 0.0)
        if SECOND > 0:
            number = relu_layer(number, weight_1, bias_1)
        if THIRD > 0:
            number = relu_layer(number, weight_2, bias_2)
        score = tl.sum(number * weight[None, :], axis=1) + bias
        if DOT > 0:
            score += tl.sum(tl.load(own_ptr + HIDDEN + tl.arange(0, DOT))[None, :] * item_dot, axis=1)
        group = tl.program_id(0) * per_tile + tl.arange(0, per_tile)
        place = (user * groups.to(tl.int64) + group)[None, :]
        tl.store(maxima_ptr + place, best_unseen(score[None, :], tl.load(barred_ptr + place), GROUP))
