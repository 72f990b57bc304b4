"""One look at every row of a part: promises that are broken, and a number for each list. Compiled, as rows are many."""

import numpy as np
import numpy.typing as npt

from rec_export.data.columns import Bool, Float32, Int64
from rec_export.topk.compiled import compiled

UInt64 = npt.NDArray[np.uint64]


@compiled
def one_pass(
    start: Int64, item: npt.NDArray[np.int32], rank: npt.NDArray[np.int16], score: Float32, item_hash: UInt64,
    weight: UInt64, broken: Int64, times: Int64, level: Bool, hashed: UInt64,
) -> None:  # fmt: skip
    """Fill in what the lists of B users with R rows hold.

    start int64 [B + 1]; item int32 [R], places among I items; rank int16 [R]; score float32 [R]; item_hash uint64 [I];
    weight uint64 [longest list]. Results: broken int64 [4], ranks that are not 1, 2, 3, ..., items twice in a list,
    scores that are not finite, scores that rise; times int64 [I], rows that hold an item; level bool [B], lists with
    one and the same score; hashed uint64 [B].
    """
    seen_by = np.full(len(item_hash), -1, np.int32)
    misplaced = twice = infinite = rising = 0  # in registers, where sums in arrays would be stored row by row
    for user in range(len(start) - 1):
        first = start[user]
        total, flat = np.uint64(0), True
        before = score[first] if first < start[user + 1] else np.float32(0)
        top = before
        for at in range(first, start[user + 1]):
            mine, mark = item[at], score[at]
            times[mine] += 1
            misplaced += rank[at] != at - first + 1
            twice += seen_by[mine] == user
            infinite += not np.isfinite(mark)
            rising += mark > before
            seen_by[mine] = user
            flat &= mark == top
            total += item_hash[mine] * weight[at - first]
            before = mark
        hashed[user], level[user] = total, flat
    broken[0] += misplaced
    broken[1] += twice
    broken[2] += infinite
    broken[3] += rising
