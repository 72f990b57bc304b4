"""Losses of scores against targets, all in one softmax family: the items that a user did not take are the alternatives."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

NEVER = -1e9  # the score of what is no alternative


class Pairs(NamedTuple):
    """Cells of a score matrix."""

    row: Tensor  # int64 [P]
    column: Tensor  # int64 [P]


def full_softmax(score: Tensor, targets: Pairs, weight: Tensor, seen: Pairs) -> Tensor:
    """Cross-entropy over all candidates; float32 [B, N], pairs [T], float32 [T], pairs [Q] -> float32 []."""
    score = score.index_put((seen.row, seen.column), score.new_tensor(NEVER))
    total = torch.logsumexp(score, 1)
    return ((total[targets.row] - score[targets.row, targets.column]) * weight).sum() / weight.sum()


def sampled_softmax(score: Tensor, targets: Pairs, weight: Tensor, taken: Pairs, sampled: int, items: int) -> Tensor:
    """Cross-entropy of each target against itself and `sampled` uniform negatives that stand for all `items`.

    float32 [B, C]: the first `sampled` columns are the negatives, shared by the batch, the others hold the targets; `taken`
    are the cells of negatives that the user has or will take. Uniform sampling makes the correction for the sampling
    probability (logQ) one number, items / sampled.
    """
    negative = score[:, :sampled].index_put((taken.row, taken.column), score.new_tensor(NEVER))
    rest = torch.logsumexp(negative, 1) + math.log(items / sampled)
    own = score[targets.row, targets.column]
    return ((torch.logaddexp(rest[targets.row], own) - own) * weight).sum() / weight.sum()
