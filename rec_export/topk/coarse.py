"""Scores that find candidates and decide nothing, and how far they may lie from those of the definition."""

from collections.abc import Callable
from typing import NamedTuple, Self

from torch import Tensor

from rec_export.topk.bound import Bound
from rec_export.topk.form import Form
from rec_export.topk.single import SingleScores


class Coarse(NamedTuple):
    """What the tiles take for the scores of a catalogue's items.

    scores(user_vec float32 [B, D], first, last) -> [B, last - first], float32 or less: of the items first..last-1.
    bound(user_vec float32 [B, D]) -> float64 [B]: none of a user's scores is further off; inf: nothing is promised.
    """

    scores: Callable[[Tensor, int, int], Tensor]
    bound: Callable[[Tensor], Tensor]

    @classmethod
    def single(cls, form: Form, item_vec: Tensor) -> Self:
        """In float32; item_vec float32 [N, D], on the device to use."""
        return cls(SingleScores(form, item_vec).of, Bound(form, item_vec).of)
