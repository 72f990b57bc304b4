"""The usual ways to the best scores of an MLP, float32, seen items filtered."""

from typing import cast

import torch
from torch import Tensor, nn

from rec_export.bench.case import Case, Network, best_of
from rec_export.towers import AdditiveHead

PAIRS = 4096  # whose hidden layers the naive network holds at once
USERS, ITEMS = 8, 1024  # of a tile of the split network


def tail_of(case: Case) -> list[nn.Linear]:
    """The layers behind the first one."""
    return [cast(nn.Linear, layer) for layer in cast(AdditiveHead, case.head).tail]


def wide(case: Case) -> list[nn.Linear]:
    """Those of which every pair needs a float32 product: all but the last, which is a sum."""
    return tail_of(case)[:-1]


def product(case: Case) -> None:
    """The limit: the float32 products of the layers that every pair needs, and of the dot part; nothing else."""
    width, dot = tail_of(case)[0].in_features, cast(AdditiveHead, case.head).dot
    layers = [layer.weight.T for layer in wide(case)]
    pairs = [weight.new_ones(PAIRS, weight.shape[0]).normal_() for weight in layers]
    for _ in range(0, len(case.user_vec) * len(case.item_vec) if layers else 0, PAIRS):
        for hidden, weight in zip(pairs, layers, strict=True):
            hidden @ weight
    if dot:
        for users in case.user_vec[:, width:].split(1024):
            for items in case.item_vec[:, width:].split(2048):
                users @ items.T


def naive(case: Case) -> Tensor:
    """The network on the concatenation [user; item] of every pair, in chunks of items."""
    network = cast(Network, case.network)

    def score(at: int) -> Tensor:
        user = network.user[at].expand(PAIRS, -1)
        parts = [
            torch.cat([user[: len(item)], item], 1) @ network.weight.T + network.bias
            for item in network.item.split(PAIRS)
        ]
        return torch.cat([through(case, part) for part in parts])[None] + dot_part(case, at, 1)

    return best_of(score, case.seen, case.k, 1)


def in_tiles(case: Case) -> Tensor:
    """The first layer split between user and item, in tiles that stay in the cache."""
    width = tail_of(case)[0].in_features

    def score(at: int) -> Tensor:
        user = case.user_vec[at : at + USERS, None, :width]
        parts = [through(case, user + item[:, :width]) for item in case.item_vec.split(ITEMS)]
        return torch.cat(parts, 1) + dot_part(case, at, USERS)

    return best_of(score, case.seen, case.k, USERS)


def through(case: Case, hidden: Tensor) -> Tensor:
    """float32 [..., H] -> float32 [...]: the tail."""
    for layer in tail_of(case):
        hidden = layer(torch.relu_(hidden))
    return hidden[..., 0]


def dot_part(case: Case, at: int, users: int) -> Tensor | float:
    """float32 [users, N], or nothing to add."""
    width = tail_of(case)[0].in_features
    if not cast(AdditiveHead, case.head).dot:
        return 0.0
    return case.user_vec[at : at + users, width:] @ case.item_vec[:, width:].T
