"""The items that a batch's targets are told from, drawn on the device, and how many items each of them stands for."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Rule = Literal["mixed", "uniform", "popular", "batch"]
SMOOTHED = 0.75  # the power of popularity by which items are drawn (Mikolov et al. 2013, arXiv:1310.4546)


class Candidates(NamedTuple):
    """Items, and the logarithm of how many each stands for."""

    item: Tensor  # int64 [C]
    correction: Tensor  # float32 [C]


class Popularity(NamedTuple):
    """How popular each item is at a moment."""

    share: Tensor  # float32 [N] in any unit, all above 0
    order: Tensor  # int64 [N] the items, the most popular first


def candidates(rule: Rule, popular: Popularity, target: Tensor, count: int | None, logq: bool) -> Candidates:
    """All items (None), or about `count` of them by the rule, or the targets int64 [T] of the batch -> [C].

    An item that is drawn with an expected frequency q stands for 1 / q items, so that the sampled softmax estimates the
    full one: the correction is -log q (Bengio and Senecal 2008, Adaptive Importance Sampling), left out without `logq`.
    """
    share, items = popular.share, len(popular.share)
    if rule == "batch":
        drawn = torch.unique(target)
        if len(drawn) == items:
            return Candidates(drawn, torch.zeros_like(share))
        chance = len(target) * share[drawn] / share.sum()
        found = Candidates(drawn, -torch.log(chance.clamp(max=1.0)))
    elif count is None or count >= items:
        return Candidates(torch.arange(items, device=share.device), torch.zeros_like(share))
    elif rule == "uniform":
        drawn = torch.randperm(items, device=share.device)[:count]
        found = Candidates(drawn, torch.full_like(share[:count], math.log(items / count)))
    elif rule == "popular":
        found = weighted(share**SMOOTHED, count)
    else:
        found = mixed(popular.order, count)
    return found if logq else found._replace(correction=torch.zeros_like(found.correction))


def weighted(weight: Tensor, count: int) -> Candidates:
    """Draws without replacement, by weights float32 [N] > 0: the items whose exponential clocks ring first.

    Given when the first item rings that was not drawn, each other one's chance to ring earlier is known exactly, so the
    estimate has no bias (Cohen and Kaplan 2007, Summarizing Data Using Bottom-k Sketches).
    """
    rings = torch.empty_like(weight).exponential_() / weight
    first = torch.topk(rings, count + 1, largest=False)
    drawn, until = first.indices[:count], first.values[count]
    return Candidates(drawn, -torch.log(-torch.expm1(-weight[drawn] * until)))


def mixed(order: Tensor, count: int) -> Candidates:
    """Half the most popular items, each for itself, and a uniform sample for all the others.

    The popular items carry most of the softmax: having them for certain takes most of the sampling noise away.
    """
    head, tail = order[: count // 2], order[count // 2 :]
    sample = tail[torch.randperm(len(tail), device=tail.device)[: count - len(head)]]
    correction = torch.zeros(count, device=order.device)
    correction[len(head) :] = math.log(len(tail) / len(sample))
    return Candidates(torch.cat([head, sample]), correction)
