"""Diversity: lists chosen from longer ones by Maximal Marginal Relevance, which trades score for being unlike the rest.

Carbonell and Goldstein 1998, The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
Summaries (SIGIR). Next comes the item with the largest

    value = relevance rel - (1 - relevance) near

rel is its score between those of the first (1) and the last (0) of the longer list; 1 if they are equal. near is its
largest cosine with an item chosen before, 0 if none is positive (the paper has the similarity to the query for rel, of
the same measure). Of equal values the one with the better score comes first. As near only grows, values only fall: so
they stand as the scores of the list.
All in float64, the sums of a cosine from left to right. It is approximate: it chooses from the longer list alone.
"""

from typing import NamedTuple, final

import numpy as np
import torch

from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float32, Float64, Int64, TopK
from rec_export.topk.switches import side_by_side


class Diversity(NamedTuple):
    """How much of a choice is relevance (the paper's lambda, 0 to 1), and of how many lists' lengths it is made."""

    relevance: float
    fetch: int


@final
class Reranker:
    """Chooses lists from longer ones."""

    def __init__(self, item_vec: Float32, relevance: float) -> None:
        """item_vec float32 [N, D], whose cosines say how like two items are."""
        self._item_vec, self._relevance = item_vec, relevance
        self._norm = np.zeros(len(item_vec))
        _measure(item_vec, self._norm)

    def choose(self, pool: TopK, k: int) -> tuple[TopK, Int64]:
        """k of each of the B longer lists; and how many of the first k of those are not chosen, int64 [B]."""
        users = len(pool.count)
        chosen, left_out = TopK.none(users, k), np.zeros(users, np.int64)
        threads = torch.get_num_threads()

        def settle(user: Int64) -> None:
            _choose(user, pool, self._item_vec, self._norm, self._relevance, chosen, left_out)

        side_by_side(settle, np.array_split(np.arange(users), threads), threads)
        return chosen, left_out


@compiled
def _measure(item_vec: Float32, norm: Float64) -> None:
    for i in range(len(item_vec)):
        square = 0.0
        for d in range(item_vec.shape[1]):
            square += np.float64(item_vec[i, d]) * np.float64(item_vec[i, d])
        norm[i] = np.sqrt(square)


@compiled
def _choose(
    user: Int64, pool: TopK, item_vec: Float32, norm: Float64, relevance: float, lists: TopK, left_out: Int64
) -> None:
    k = lists.item_row.shape[1]
    for u in user:
        n = pool.count[u]
        row, score = pool.item_row[u, :n], pool.score[u, :n]
        vec, rel = np.empty((item_vec.shape[1], n)), np.ones(n)
        for m in range(n):
            if score[0] > score[n - 1]:
                rel[m] = (score[m] - score[n - 1]) / (score[0] - score[n - 1])
            for d in range(item_vec.shape[1]):
                vec[d, m] = np.float64(item_vec[row[m], d])
        near, free, cosine = np.zeros(n), np.ones(n, np.bool_), np.empty(n)
        for place in range(min(k, n)):
            best, most = -1, -np.inf
            for m in range(n):
                value = relevance * rel[m] - (1 - relevance) * near[m]
                if free[m] and value > most:
                    best, most = m, value
            free[best] = False
            left_out[u] += best >= k
            lists.item_row[u, place], lists.score[u, place] = row[best], most
            _write_cosines(vec, norm[row], best, cosine)
            for m in range(n):
                near[m] = max(near[m], cosine[m])
        lists.count[u] = min(k, n)


@compiled
def _write_cosines(vec: Float64, norm: Float64, one: int, cosine: Float64) -> None:
    """Of one item with all others: float64 [D, n], float64 [n] -> float64 [n]. A vector of zeros is like nothing."""
    cosine[:] = 0.0
    for d in range(len(vec)):
        value = vec[d, one]
        for m in range(len(cosine)):
            cosine[m] += value * vec[d, m]
    for m in range(len(cosine)):
        size = norm[one] * norm[m]
        cosine[m] = cosine[m] / size if size > 0 else 0.0
