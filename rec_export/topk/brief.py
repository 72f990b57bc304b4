"""Dot products of bfloat16 vectors, and how far they lie from the scores: what a GPU multiplies fastest.

With x' for x in bfloat16, |<u, v> - <u', v'>| <= |u| |v - v'| + |u - u'| |v'| (Cauchy-Schwarz). The product of the
rounded vectors, each a float32 too, is summed in float32 in any order, as in bound.py, and comes out in bfloat16.
"""

from typing import NamedTuple, final

import torch
from torch import Tensor

from rec_export.topk.bound import LARGE, PIECE, TINY, UNIT
from rec_export.topk.coarse import Coarse

BRIEF = 2.0**-8  # half the distance of two neighbours, over the smaller one
MARGIN = 1 + 2.0**-20  # covers the float64 arithmetic of the bound, and of the definition


class Sizes(NamedTuple):
    """Of rows, float64 [n] each: |x|, |x - x'|, and |x'| with a little more for each number."""

    norm: Tensor
    residual: Tensor
    rounded: Tensor


@final
class BriefDots:
    """The products of a catalogue's items, as a Coarse: `scores` gives bfloat16."""

    def __init__(self, item_vec: Tensor) -> None:
        """item_vec float32 [N, D], on the device to use."""
        self._item_vec = item_vec.bfloat16()
        parts = [sizes(piece) for piece in item_vec.split(PIECE)]
        most = [torch.cat(part).max() if len(item_vec) else torch.zeros(()) for part in zip(*parts, strict=True)]
        self._most = Sizes(*(most or [torch.zeros(())] * 3))
        roundings = (item_vec.shape[1] + 4) * UNIT
        self._summed = roundings / (1 - roundings)

    @property
    def coarse(self) -> Coarse:
        """For the engines."""
        return Coarse(self.scores, self.bound)

    def scores(self, user_vec: Tensor, first: int, last: int) -> Tensor:
        """float32 [B, D] -> bfloat16 [B, last - first]."""
        return user_vec.bfloat16() @ self._item_vec[first:last].T

    def bound(self, user_vec: Tensor) -> Tensor:
        """float32 [B, D] -> float64 [B]; inf where a sum might leave float32."""
        own, item = sizes(user_vec), self._most
        product = own.rounded * item.rounded
        error = own.norm * item.residual + own.residual * item.rounded
        error = (error + (self._summed + BRIEF * (1 + self._summed)) * product) * MARGIN + own.norm * item.norm * UNIT
        return torch.where(product < LARGE, error, torch.inf)  # a NaN, where a number left bfloat16, is not below it


def sizes(vec: Tensor) -> Sizes:
    """float32 [n, D] -> the sizes of its rows, none too small."""
    exact, brief = vec.double(), vec.bfloat16().double()
    norm = torch.linalg.vector_norm
    return Sizes(
        norm(exact, dim=1) * MARGIN, norm(exact - brief, dim=1) * MARGIN, norm(brief.abs() + TINY, dim=1) * MARGIN
    )
