"""The cases of `rec-export bench`: made-up vectors, and such as were learnt from a made-up log."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from rec_export.bench.case import Case, Network, some_seen
from rec_export.towers import AdditiveHead, DotHead

WIDTH = 64
EVENTS = 10  # of the made-up log, for each item
GROUP, OWN = 500, 0.6  # items of one taste, and the share of a user's events in it
STEPS, BATCH = 200, 4096  # in which an MLP learns


def cases(users: int, items: int) -> dict[str, Callable[[], Case]]:
    """Name -> what makes the case; `items` is the size of the larger catalogue."""
    small = items // 8
    return {
        "dot_k10_gauss": partial(gaussian, "dot_k10_gauss", users, items, 10),
        "dot_k100_gauss": partial(gaussian, "dot_k100_gauss", users, items, 100),
        "dot_k10_skew": partial(skewed, "dot_k10_skew", users, items, 10),
        "dot_k10_trained": partial(factorised, "dot_k10_trained", users, items, 10),
        "dot_k100_small": partial(gaussian, "dot_k100_small", users, small, 100),
        "mlp_k10": partial(learnt, "mlp_k10", (64, 32), 0, users, items, 10),
        "mlp_k100": partial(learnt, "mlp_k100", (64, 32), 0, users, items, 100),
        "mlp3_k10": partial(learnt, "mlp3_k10", (128, 64, 32), 0, users, items, 10),
        "gated_k10": partial(learnt, "gated_k10", (64,), WIDTH + 1, users, items, 10),
    }


def gaussian(name: str, users: int, items: int, k: int) -> Case:
    """Nothing in these vectors helps."""
    torch.manual_seed(0)
    return dot_case(name, torch.randn(users, WIDTH), torch.randn(items, WIDTH), k)


def skewed(name: str, users: int, items: int, k: int) -> Case:
    """A falling spectrum, and log-normal norms of the items."""
    torch.manual_seed(0)
    spectrum = torch.arange(1, WIDTH + 1) ** -0.2
    item_vec = torch.randn(items, WIDTH) * spectrum * torch.exp(0.5 * torch.randn(items, 1))
    return dot_case(name, torch.randn(users, WIDTH) * spectrum, item_vec, k)


def factorised(name: str, users: int, items: int, k: int) -> Case:
    """A truncated singular value decomposition of the made-up log, scaled by activity and popularity."""
    _, user_vec, item_vec = factors(users, items)
    return dot_case(name, user_vec, item_vec, k)


def dot_case(name: str, user_vec: Tensor, item_vec: Tensor, k: int) -> Case:
    """A case whose head is a dot product."""
    return Case(name, DotHead(), user_vec, item_vec, some_seen(len(user_vec), len(item_vec)), k)


def learnt(name: str, hidden: tuple[int, ...], dot: int, users: int, items: int, k: int) -> Case:
    """An MLP on [user; item], the factors of the log scaled alike, that has learnt to tell events from drawn pairs.

    With `dot` there is a product of the factors and an item's bias beside it.
    """
    log, *vectors = factors(users, items)
    user, item = (vec / vec.square().mean(0).sqrt() for vec in vectors)
    torch.manual_seed(0)
    first, head = nn.Linear(2 * WIDTH, hidden[0]), AdditiveHead(hidden, dot)
    beside = torch.zeros(items, dot)
    if dot:
        beside = torch.cat([0.1 * item, 0.1 * torch.randn(items, 1)], 1)
    of_user = torch.cat([user, torch.ones(users, 1)], 1)[:, :dot]

    def split(user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        return user @ first.weight[:, :WIDTH].T + first.bias, item @ first.weight[:, WIDTH:].T

    adam = torch.optim.Adam([*first.parameters(), *head.parameters()], lr=0.01)
    for _ in range(STEPS):
        some = torch.randint(len(log[0]), (BATCH // 2,))
        user_row = torch.cat([log[0][some], log[0][some]])
        item_row = torch.cat([log[1][some], torch.randint(items, (len(some),))])
        hidden_layer = torch.add(*split(user[user_row], item[item_row]))
        for layer in head.tail:
            hidden_layer = layer(torch.relu(hidden_layer))
        score = hidden_layer[:, 0] + (of_user[user_row] * beside[item_row]).sum(1)
        wanted = torch.cat([torch.ones(len(some)), torch.zeros(len(some))])
        loss = nn.functional.binary_cross_entropy_with_logits(score, wanted)
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
    with torch.no_grad():
        a, b = split(user, item)
    network = Network(user, item, first.weight.detach(), first.bias.detach())
    vectors = [torch.cat([a, of_user], 1), torch.cat([b, beside], 1)]
    case = Case(name, head.requires_grad_(False), vectors[0], vectors[1], some_seen(users, items), k, network)
    return case.first(max(1, users // 2))  # an MLP takes so much longer than a product


@cache
def factors(users: int, items: int) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """The events of the first users in a made-up log, int64 twice, and float32 [users, 64], float32 [items, 64]."""
    random = np.random.default_rng(0)
    people = max(users, items // 4)
    user = random.integers(0, people, EVENTS * items)
    taste = random.integers(0, -(-items // GROUP), people)
    own = (rank(min(GROUP, items), len(user), random) + GROUP * taste[user]) % items
    item = np.where(random.random(len(user)) < OWN, own, rank(items, len(user), random))
    active, popular = np.bincount(user, minlength=people), np.bincount(item, minlength=items)
    log = csr_matrix(((active[user] * popular[item]) ** -0.5, (user, item)), shape=(people, items))
    left, size, right = randomized_svd(log, WIDTH, n_oversamples=8, n_iter=2, random_state=0)
    kept = user < users
    events = torch.from_numpy(user[kept]), torch.from_numpy(item[kept])
    user_vec, item_vec = ((left * size)[:users], right.T)
    return events, single(user_vec), single(item_vec)


def rank(items: int, draws: int, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """int64 [draws] of 0..items-1, the lower the more often, as in a shop."""
    total = np.cumsum((np.arange(items) + 30.0) ** -0.8)
    return np.searchsorted(total, random.random(draws) * total[-1]).clip(max=items - 1)


def single(vec: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Tensor:
    """float64 [n, D] -> float32 [n, D]."""
    return torch.from_numpy(np.ascontiguousarray(vec, np.float32))
