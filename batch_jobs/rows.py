"""The lists of some users as rows, in the order in which readers get them. Compiled, as rows are many."""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rec_export.data.columns import Float32, Int64
from rec_export.topk.compiled import compiled
from rec_export.topk.contract import TopK

Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]


class Rows(NamedTuple):
    """R rows of B lists."""

    user: Int64  # [R] the number of the list's user
    rank: Int16  # [R] from 1
    item: Int64  # [R] the number of the item
    score: Float32  # [R]
    source: Int8  # [R] that of the list

    @classmethod
    def of(cls, lists: list[TopK], source: Int8, user: Int64, item: Int64) -> Self:
        """Lists, one after another; source int8 [B] of each, and numbers for users, int64 [B], and items, int64 [N]."""
        size = sum(int(top.count.sum()) for top in lists)
        rows = cls(
            np.empty(size, np.int64), np.empty(size, np.int16), np.empty(size, np.int64), np.empty(size, np.float32),
            np.empty(size, np.int8),
        )  # fmt: skip
        at = first = 0
        for top in lists:
            some = slice(first, first + len(top.count))
            at = lay_out(top.item_row, top.score, top.count, source[some], user[some], item, at, *rows)
            if at < 0:
                raise ValueError(f"a list holds an item row outside of 0..{len(item) - 1}")
            first = some.stop
        return rows


@compiled
def lay_out(
    item_row: Int64, mark: npt.NDArray[np.float64], count: Int64, origin: Int8, number: Int64, numbers: Int64, at: int,
    user: Int64, rank: Int16, item: Int64, score: Float32, source: Int8,
) -> int:  # fmt: skip
    """Fill in the rows of lists [B, K] from `at` on, of which `count` int64 [B] are there; where the next ones begin,
    or -1 at an item row that is none.

    Source and number of each list, [B]; numbers int64 [N] of items. Results: the columns of Rows.
    """
    for one in range(len(count)):
        for place in range(count[one]):
            row = item_row[one, place]
            if row < 0 or row >= len(numbers):
                return -1
            user[at] = number[one]
            rank[at] = place + 1
            item[at] = numbers[row]
            score[at] = mark[one, place]
            source[at] = origin[one]
            at += 1
    return at
