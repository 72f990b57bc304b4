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

    log: Tensor  # float32 [N] the logarithm of how often it is liked, in any unit
    order: Tensor  # int32 [N] the items, the most popular first


def candidates(
    rule: Rule, popular: Popularity, target: Tensor, count: int | None, logq: bool, draws: torch.Generator
) -> Candidates:
    """All items (None), or about `count` of them by the rule, or the targets int64 [T] of the batch -> [C].

    `draws` is a generator of their own, on their device, so that several processes draw alike whatever else they draw.

    An item that is drawn with an expected frequency q stands for 1 / q items, so that the sampled softmax estimates the
    full one: the correction is -log q (Bengio and Senecal 2008, Adaptive Importance Sampling), left out without `logq`.
    """
    items = len(popular.log)
    if rule == "batch":
        drawn = torch.unique(target)
        if len(drawn) == items:
            return Candidates(drawn, torch.zeros_like(popular.log))
        chance = math.log(len(target)) + popular.log[drawn] - torch.logsumexp(popular.log, 0)
        found = Candidates(drawn, -chance.clamp(max=0.0))
    elif count is None or count >= items:
        return Candidates(torch.arange(items, device=target.device), torch.zeros_like(popular.log))
    elif rule == "uniform":
        found = spread(popular.order, count, draws)
    elif rule == "popular":
        found = weighted(torch.exp(SMOOTHED * popular.log), count, draws)
    else:
        found = mixed(popular.order, count, draws)
    return found if logq else found._replace(correction=torch.zeros_like(found.correction))


def weighted(weight: Tensor, count: int, draws: torch.Generator) -> Candidates:
    """Draws without replacement, by weights float32 [N] > 0: the items whose exponential clocks ring first.

    Given when the first item rings that was not drawn, each other one's chance to ring earlier is known exactly, so the
    estimate has no bias (Cohen and Kaplan 2007, Summarizing Data Using Bottom-k Sketches).
    """
    rings = torch.empty_like(weight).exponential_(generator=draws) / weight
    first = torch.topk(rings, count + 1, largest=False)
    drawn, until = first.indices[:count], first.values[count]
    return Candidates(drawn, -torch.log(-torch.expm1(-weight[drawn] * until)))


def mixed(order: Tensor, count: int, draws: torch.Generator) -> Candidates:
    """Half the most popular items, each for itself, and a uniform sample for all the others.

    The popular items carry most of the softmax: having them for certain takes most of the sampling noise away.
    """
    head, rest = order[: count // 2].long(), spread(order[count // 2 :], count - count // 2, draws)
    return Candidates(
        torch.cat([head, rest.item]),
        torch.cat([torch.zeros_like(rest.correction[:1]).expand(len(head)), rest.correction]),
    )


def spread(order: Tensor, count: int, draws: torch.Generator) -> Candidates:
    """One item of each of the `count` stretches that the items, in the order of their popularity, are cut into.

    So a step costs what is drawn, however large the catalogue; and as much is drawn of each kind of item as there is.
    """
    edge = torch.arange(count + 1, device=order.device) * len(order) // count
    size = edge.diff()
    place = edge[:-1] + (torch.rand(count, generator=draws, device=order.device) * size).long().minimum(size - 1)
    return Candidates(order[place].long(), torch.log(size))
