"""Dot products of bfloat16 vectors, and how far they lie from the scores: what a GPU multiplies fastest.

With x' for x in bfloat16, |<u, v> - <u', v'>| <= |u| |v - v'| + |u - u'| |v'| (Cauchy-Schwarz). The products of the
rounded vectors, each a float32 too, are summed in float32 in any order, as in bound.py, or by a tensor core.

A tensor core adds m of them and what it had so far at once: each is cut to 24 bits counted from the largest, and so is
the sum (Fasi, Higham, Mikaitis and Pranesh 2021, Numerical behavior of NVIDIA tensor cores, PeerJ CS 7:e330). Of S, all
magnitudes together, that loses m + 2 times 2 u at most, so in D / m steps no more than 6 D u S, whatever m; with what
products of errors add, each addition counts as SUMMED roundings. Less than 2^-126 for each operation may be flushed.
"""

from typing import NamedTuple, final

import torch
from torch import Tensor

from rec_export.topk.bound import LARGE, PIECE, TINY, UNIT
from rec_export.topk.coarse import Coarse

BRIEF = 2.0**-8  # half the distance of two neighbours, over the smaller one
MARGIN = 1 + 2.0**-20  # covers the float64 arithmetic of the bound, and of the definition
SUMMED = 8


class Sizes(NamedTuple):
    """Of rows, float64 [n] each: |x|, |x - x'|, and |x'| with a little more for each number."""

    norm: Tensor
    residual: Tensor
    rounded: Tensor


@final
class BriefBound:
    """Of the products with a catalogue's items; they come out in float32, or `brief`, in bfloat16."""

    def __init__(self, item_vec: Tensor, brief: bool) -> None:
        """item_vec float32 [N, D], on the device to use."""
        parts = [sizes(piece) for piece in item_vec.split(PIECE)]
        most = [torch.cat(part).max() if len(item_vec) else torch.zeros(()) for part in zip(*parts, strict=True)]
        self._most = Sizes(*(most or [torch.zeros(())] * 3))
        operations = item_vec.shape[1] + 4
        summed = SUMMED * operations * UNIT / (1 - SUMMED * operations * UNIT)
        self._relative = summed + BRIEF * (1 + summed) if brief else summed
        self._flushed = 2 * operations * TINY * UNIT

    def of(self, user_vec: Tensor) -> Tensor:
        """float32 [B, D] -> float64 [B]; inf where a sum might leave float32."""
        own, item = sizes(user_vec), self._most
        product = own.rounded * item.rounded
        error = own.norm * item.residual + own.residual * item.rounded
        error = (error + self._relative * product) * MARGIN + own.norm * item.norm * UNIT + self._flushed
        return torch.where(product < LARGE, error, torch.inf)  # a NaN, where a number left bfloat16, is not below it


@final
class BriefDots:
    """The products of a catalogue's items, as a Coarse: `scores` gives bfloat16."""

    def __init__(self, item_vec: Tensor) -> None:
        """item_vec float32 [N, D], on the device to use."""
        self._item_vec = item_vec.bfloat16()
        self.bound = BriefBound(item_vec, brief=True).of

    @property
    def coarse(self) -> Coarse:
        """For the engines."""
        return Coarse(self.scores, self.bound)

    def scores(self, user_vec: Tensor, first: int, last: int) -> Tensor:
        """float32 [B, D] -> bfloat16 [B, last - first]."""
        return user_vec.bfloat16() @ self._item_vec[first:last].T


def sizes(vec: Tensor) -> Sizes:
    """float32 [n, D] -> the sizes of its rows, none too small."""
    exact, brief = vec.double(), vec.bfloat16().double()
    norm = torch.linalg.vector_norm
    return Sizes(
        norm(exact, dim=1) * MARGIN, norm(exact - brief, dim=1) * MARGIN, norm(brief.abs() + TINY, dim=1) * MARGIN
    )
