"""Which items of a user compete in a softmax: the best by score one by one, and a sample that stands for the rest."""

import numpy as np
import torch
from torch import Tensor

BEST, SAMPLE = 1000, 1000  # items of a user
NOTHING = -1e4  # the logarithm of what is as good as no chance


def sample_of(items: int) -> Tensor:
    """The items that stand for those which are not among the best, int64 [C]."""
    return torch.from_numpy(np.random.default_rng(0).permutation(items)[:SAMPLE])


def competing(score: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
    """Scores float64 [B, N], -inf of what does not compete -> items int64 [B, C], and float64 [B, C] the logarithm of
    how many items each stands for, NOTHING where it stands for none.
    """
    best, at = torch.topk(score, min(BEST, score.shape[1]))
    others = score.scatter(1, at, -torch.inf)
    rest = others[:, sample]
    left = (torch.isfinite(others).sum(1) / torch.isfinite(rest).sum(1).clamp(min=1)).log().unsqueeze(1)
    there = torch.isfinite(torch.cat([best, rest], 1))
    stands = torch.cat([torch.zeros_like(best), left.expand_as(rest)], 1)
    return torch.cat([at, sample.expand(len(score), -1)], 1), torch.where(there, stands, NOTHING)
