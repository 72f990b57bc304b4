"""The best K pairs found so far, for each of B users: score descending, then item row ascending."""

from typing import final

import numpy as np

from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float64, Int64, TopK


@final
class Best:
    """Lists that only get better. What they hold in the end does not depend on the order of the offers."""

    def __init__(self, users: int, k: int) -> None:
        self.top = TopK(np.full((users, k), -1, np.int64), np.full((users, k), np.nan), np.zeros(users, np.int64))

    def offer(self, user: Int64, start: Int64, item_row: Int64, score: Float64) -> None:
        """Distinct users int64 [n], and their pairs: int64 [n + 1], int64 [pairs], float64 [pairs] without a NaN.

        The pairs of user[i] are start[i] to start[i + 1]. A pair may be offered once.
        """
        _insert(user, start, item_row, score, *self.top)


@compiled
def _insert(
    user: Int64, start: Int64, item_row: Int64, score: Float64, best_row: Int64, best_score: Float64, count: Int64
) -> None:
    k = best_row.shape[1]
    for i in range(len(user)):
        rows, scores, held = best_row[user[i]], best_score[user[i]], count[user[i]]
        pairs = np.arange(start[i], start[i + 1])
        if len(pairs) > k:
            pairs = pairs[score[start[i] : start[i + 1]] >= reached_by(score[start[i] : start[i + 1]], k)]
        for pair in pairs[np.argsort(-score[pairs])]:  # the best first: then hardly anything has to move
            row, value = item_row[pair], score[pair]
            if held == k and not _precedes(value, row, scores[k - 1], rows[k - 1]):
                continue
            held = min(held + 1, k)
            place = held - 1
            while place > 0 and _precedes(value, row, scores[place - 1], rows[place - 1]):
                scores[place], rows[place] = scores[place - 1], rows[place - 1]
                place -= 1
            scores[place], rows[place] = value, row
        count[user[i]] = held


@compiled
def _precedes(score: float, row: int, other_score: float, other_row: int) -> bool:
    return score > other_score or (score == other_score and row < other_row)


@compiled
def reached_by(value: Float64, k: int) -> float:
    """What at least k of the values reach, as nearly as halving finds it: faster than any sorting."""
    least, most = value.min(), value.max()
    for _ in range(32):
        middle, reached = least + (most - least) / 2, 0
        for i in range(len(value)):
            reached += value[i] >= middle
        if reached >= k:
            least = middle
        else:
            most = middle
        if reached == k:
            break
    return least
