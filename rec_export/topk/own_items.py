"""The engine for users who may get nothing but items on lists of their own: those are scored, nothing is scanned."""

from typing import final

import numpy as np
from torch import Tensor

from rec_export import sets
from rec_export.topk.best import Best
from rec_export.topk.blocks import BlockEngine
from rec_export.topk.contract import Float64, Seen, TopK, portions
from rec_export.topk.definition import score_pairs
from rec_export.topk.finite import check_scores, check_vectors
from rec_export.topk.form import form_of
from rec_export.towers import Head

PAIRS = 1 << 22  # scored at once


@final
class OwnItems:
    """Exact: the pairs are scored by the definition itself."""

    def __init__(self, head: Head, item_vec: Tensor) -> None:
        """item_vec float32 [N, D]."""
        self._form = form_of(head, item_vec.shape[1])
        self._blocks = BlockEngine(head, item_vec) if self._form is None else None
        self._item_vec = item_vec.detach().cpu().contiguous().numpy()

    def top_k(self, user_vec: Tensor, k: int, own: Seen, seen: Seen) -> TopK:
        """float32 [B, D] -> the best k of each user's own items, without those in `seen`."""
        best = Best(len(user_vec), k)
        for user in portions(np.diff(own.start), PAIRS):
            pairs = without(own.take(user), seen.take(user), len(self._item_vec))
            best.offer(user, pairs.start, pairs.item_row, self.scores(user_vec[user], pairs))
        return best.top

    def scores(self, user_vec: Tensor, pairs: Seen) -> Float64:
        """float32 [B, D] -> the scores of each user with each of the items, float64 [pairs]."""
        check_vectors("user", user_vec)
        score = self._scores(user_vec, pairs)
        check_scores(score)
        return score

    def _scores(self, user_vec: Tensor, pairs: Seen) -> Float64:
        if self._blocks is None:
            assert self._form is not None
            vec = user_vec.detach().cpu().contiguous().numpy()
            return score_pairs(self._form, vec, self._item_vec, pairs.start, pairs.item_row)
        lists = [pairs.item_row[a:b] for a, b in zip(pairs.start, pairs.start[1:], strict=False)]
        scores = self._blocks.scores(user_vec)
        return np.concatenate([score[row] for score, row in zip(scores, lists, strict=True)])


def without(own: Seen, seen: Seen, items: int) -> Seen:
    """Each user's own items, each once, but for those in `seen`."""
    pair = sets.without(own.user() * items + own.item_row, seen.user() * items + seen.item_row)
    return Seen.of(pair // items, pair % items, len(own.start) - 1)
