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
