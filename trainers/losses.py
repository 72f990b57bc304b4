"""Losses of scores against targets: the items that a user did not take are the alternatives.

The weights of a batch's targets add up to 1, so each loss is a mean, and those of a batch's parts add up to it.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

NEVER = -1e9  # the score of what is no alternative
CELLS = 1 << 24  # pairs of a target and a candidate that are compared at once


class Pairs(NamedTuple):
    """Cells of a score matrix."""

    row: Tensor  # int64 [P]
    column: Tensor  # int64 [P]


def none_of(pairs: Pairs) -> Pairs:
    """No cells."""
    return Pairs(pairs.row[:0], pairs.column[:0])


def full_softmax(score: Tensor, targets: Pairs, weight: Tensor, seen: Pairs) -> Tensor:
    """Cross-entropy over all candidates; float32 [B, N], pairs [T], float32 [T], pairs [Q] -> float32 []."""
    score = score.index_put((seen.row, seen.column), score.new_full((), NEVER))
    total = torch.logsumexp(score, 1)
    own = score.flatten().index_select(0, targets.row * score.shape[1] + targets.column)
    return ((total.index_select(0, targets.row) - own) * weight).sum()


def bpr(score: Tensor, own: Tensor, owner: Tensor, weight: Tensor, taken: Pairs) -> Tensor:
    """-log sigmoid(target - candidate), the mean over candidates; shapes as in sampled_softmax -> float32 [].

    Rendle et al. 2009, BPR: Bayesian Personalized Ranking from Implicit Feedback, arXiv:1205.2618.
    """
    free = torch.ones_like(score).index_put((taken.row, taken.column), score.new_zeros(()))
    targets = own, owner, weight
    step = max(1, CELLS // score.shape[1])
    if len(own) <= step:
        return compared(score, free, *targets)
    parts = zip(*(each.split(step) for each in targets), strict=True)  # computed once more for their gradients
    losses = [cast(Tensor, checkpoint(compared, score, free, *part, use_reentrant=False)) for part in parts]
    return torch.stack(losses).sum()


def compared(score: Tensor, free: Tensor, own: Tensor, owner: Tensor, weight: Tensor) -> Tensor:
    """The loss of some targets beside their users' candidates, of which those count that are free (1, not 0)."""
    free = free.index_select(0, owner)
    gap = own.unsqueeze(1) - score.index_select(0, owner)
    each = (nn.functional.softplus(-gap) * free).sum(1) / free.sum(1).clamp(min=1)
    return (each * weight).sum()


def bce(score: Tensor, own: Tensor, owner: Tensor, weight: Tensor, taken: Pairs) -> Tensor:
    """Each target is a yes, its user's candidates are together one no; shapes as in sampled_softmax -> float32 []."""
    free = torch.ones_like(score).index_put((taken.row, taken.column), score.new_zeros(()))
    no = (nn.functional.softplus(score) * free).sum(1) / free.sum(1).clamp(min=1)
    return ((nn.functional.softplus(-own) + no.index_select(0, owner)) * weight).sum()


def sampled_softmax(score: Tensor, own: Tensor, owner: Tensor, weight: Tensor, taken: Pairs) -> Tensor:
    """Cross-entropy of each target against itself and the candidates of its batch, which stand for all items.

    float32 [B, C] with each candidate's logQ correction added; the targets' own scores float32 [T], whose they are
    int64 [T], their weights float32 [T]; `taken` are the cells of candidates that the user has or will take.
    """
    rest = torch.logsumexp(score.index_put((taken.row, taken.column), score.new_full((), NEVER)), 1)
    return ((torch.logaddexp(rest.index_select(0, owner), own) - own) * weight).sum()
