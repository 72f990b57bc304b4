"""The definition decides: every pair that an engine has found is scored by it before it may stand in a list."""

from typing import final

import numpy as np
from torch import Tensor

from rec_export.topk.best import Best
from rec_export.topk.contract import Float32, Float64, Int64
from rec_export.topk.definition import score_pairs
from rec_export.topk.finite import check_scores
from rec_export.topk.form import Form


@final
class Judge:
    """Of the pairs with one catalogue."""

    def __init__(self, form: Form, item_vec: Tensor) -> None:
        """item_vec float32 [N, D], contiguous, on any device."""
        self._form = form
        self._item_vec: Float32 = item_vec.cpu().numpy()

    def scores(self, user_vec: Float32, start: Int64, row: Int64) -> Float64:
        """Of users float32 [n, D] and their pairs, int64 [n + 1] and [pairs]: float64 [pairs], all of them finite."""
        score = score_pairs(self._form, user_vec, self._item_vec, start, row)
        check_scores(score)
        return score

    def offer(self, best: Best, user: Int64, user_vec: Float32, start: Int64, row: Int64) -> None:
        """Users int64 [n], float32 [n, D], and their pairs, int64 [n + 1] and [pairs], as Best.offer takes them."""
        best.offer(user, start, row, self.scores(user_vec, start, row))

    def offer_where(self, best: Best, user: Int64, user_vec: Tensor, kept: Tensor, row: Tensor) -> None:
        """The same, of the item rows int64 [n, m] those where `kept`, bool [n, m]; tensors on any device."""
        start = np.concatenate([[0], np.cumsum(kept.sum(1).cpu().numpy())])
        self.offer(best, user, user_vec.cpu().numpy(), start, row[kept].cpu().numpy())
