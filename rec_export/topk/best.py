"""The best K pairs found so far, for each of B users: score descending, then item row ascending."""

from typing import final

import numpy as np

from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float64, Int64, TopK

RUN = 64  # pairs that are put in order by themselves


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
    k, rows, scores = best_row.shape[1], np.empty_like(item_row), np.empty_like(score)
    for i in range(len(user)):
        own_row, own_score, held = best_row[user[i]], best_score[user[i]], count[user[i]]
        least, n = reached_by(score[start[i] : start[i + 1]], k) if start[i + 1] - start[i] > k else -np.inf, 0
        for pair in range(start[i], start[i + 1]):
            rows[n], scores[n] = item_row[pair], score[pair]
            n += score[pair] >= least
        for begin in range(0, n, RUN):
            end = min(begin + RUN, n)
            run_row, run_score = _ordered(rows[begin:end], scores[begin:end])
            _merge(run_row, run_score, own_row, own_score, held)
            held = min(held + end - begin, k)
        count[user[i]] = held


@compiled
def _ordered(row: Int64, score: Float64) -> tuple[Int64, Float64]:
    """The best first: each pair's place is how many precede it. For so few that is faster than to sort: no branches."""
    ordered_row, ordered_score = np.empty_like(row), np.empty_like(score)
    for i in range(len(row)):
        place = 0
        for j in range(len(row)):
            place += (score[j] > score[i]) | ((score[j] == score[i]) & (row[j] < row[i]))
        ordered_row[place], ordered_score[place] = row[i], score[i]
    return ordered_row, ordered_score


@compiled
def _merge(row: Int64, score: Float64, best_row: Int64, best_score: Float64, held: int) -> None:
    """Put the pairs, the best first, among the `held` ones, from the last place on; what does not fit falls out."""
    new, old = len(row) - 1, held - 1
    while new >= 0:
        place = new + old + 1
        later = old >= 0 and precedes(score[new], row[new], best_score[old], best_row[old])
        if place < len(best_row):
            best_row[place] = best_row[old] if later else row[new]
            best_score[place] = best_score[old] if later else score[new]
        new, old = new - (not later), old - later


@compiled
def precedes(score: float, row: int, other_score: float, other_row: int) -> bool:
    return score > other_score or (score == other_score and row < other_row)


@compiled
def reached_by(value: Float64, k: int) -> float:
    """What at least k of the values reach, as nearly as halving finds it: faster than any sorting."""
    least, most = np.inf, -np.inf
    for number in value:
        least, most = min(least, number), max(most, number)
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
