"""Top-K of the head of `hybrid` with its MLP, towers included, beside plain torch and the network as usually written.

    python -m benchmarks.scoring [--users 2048] [--items 10000] [--k 100]

Each row is millions of user x item pairs a second (median of interleaved rounds), seen items filtered inside.

    ours    rec_export.topk: exact, float64 decides
    torch   the split first layer in tiles + topk in chunks of users, float32
    naive   the same MLP on the concatenation [user; item] of each pair, as reference system 000 was written, float32
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import numpy as np
import torch
from torch import Tensor, nn

from rec_export.data.clock import Clock
from rec_export.models import spec_of
from rec_export.topk import Ranker, Seen
from rec_export.towers import AdditiveHead, Head, Sizes, TableSizes
from rec_export.world import CONTEXT
from trainers.plan import HALF_LIVES

SEEN = 30
USER_FEATURES, ITEM_FEATURES, EMBEDDING = 4, 73, 32  # of reference system 000


class Network(nn.Module):
    """System 000 as it was written: embeddings and encoded attributes of both, side by side, through an MLP.

    With `dot` there is a dot product of so many dimensions beside it, as `hybrid` has.
    """

    def __init__(self, users: int, items: int, hidden: tuple[int, ...], dot: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(users, EMBEDDING), nn.Embedding(items, EMBEDDING)
        self.user_attributes = nn.Parameter(torch.randn(users, USER_FEATURES))
        self.item_attributes = nn.Parameter(torch.randn(items, ITEM_FEATURES))
        self.user_encoder, self.item_encoder = encoder(USER_FEATURES), encoder(ITEM_FEATURES)
        self.first, self.head = nn.Linear(4 * EMBEDDING, hidden[0]), AdditiveHead(hidden, dot)
        self.user_dot, self.item_dot = nn.Embedding(users, dot), nn.Embedding(items, dot)

    def users(self, row: Tensor) -> Tensor:
        """int64 [B] -> float32 [B, 64]."""
        return torch.cat([self.user(row), self.user_encoder(self.user_attributes[row])], 1)

    def items(self, row: Tensor) -> Tensor:
        """int64 [N] -> float32 [N, 64]."""
        return torch.cat([self.item(row), self.item_encoder(self.item_attributes[row])], 1)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """int64 [pairs], int64 [pairs] -> float32 [pairs]."""
        hidden = self.first(torch.cat([self.users(user), self.items(item)], 1))
        for layer in self.head.tail:
            hidden = layer(torch.relu(hidden))
        return hidden.flatten() + (self.user_dot(user) * self.item_dot(item)).sum(1)


def encoder(features: int) -> nn.Module:
    """The attribute encoder of system 000."""
    return nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, EMBEDDING), nn.ReLU())


class Case(NamedTuple):
    """What is to be scored: a network, whole or split into towers."""

    name: str
    users: int
    items: int
    head: Head
    network: Network
    vectors: Callable[[], tuple[Tensor, Tensor]]  # both towers, for all


def hybrid_head() -> AdditiveHead:
    """The head of `hybrid` with its MLP, on a log with time; without it the head is a dot product."""
    tables, trends = TableSizes(rows=1), Clock(half_lives=HALF_LIVES).trends
    sizes = Sizes(users=tables, items=tables, context=CONTEXT, trend=trends, counts=trends - 2, ordered=True)
    head = spec_of({"name": "hybrid", "hidden": [16, 8]}, "benchmark").build(sizes).pair_head
    assert isinstance(head, AdditiveHead)
    return head


def mlp_case(name: str, head: AdditiveHead, users: int, items: int) -> Case:
    """A network with the widths of a head, and its towers by the split of the first layer."""
    hidden = tuple(layer.in_features for layer in head.tail if isinstance(layer, nn.Linear))
    network = Network(users, items, hidden, head.dot)

    @torch.inference_mode()
    def vectors() -> tuple[Tensor, Tensor]:
        half = 2 * EMBEDDING
        user_vec = network.users(torch.arange(users)) @ network.first.weight[:, :half].T + network.first.bias
        item_vec = network.items(torch.arange(items)) @ network.first.weight[:, half:].T
        return torch.cat([user_vec, network.user_dot.weight], 1), torch.cat([item_vec, network.item_dot.weight], 1)

    return Case(name, users, items, network.head, network, vectors)


def ours(case: Case, seen: Seen, k: int) -> Tensor:
    """Item rows by the towers and the engine."""
    user_vec, item_vec = case.vectors()
    return torch.from_numpy(Ranker(case.head, item_vec).top_k(user_vec[: len(seen.start) - 1], k, seen).item_row)


@torch.inference_mode()
def plain(case: Case, seen: Seen, k: int) -> Tensor:
    """Item rows by the towers and float32 scores in chunks that fit the cache, with one topk of each chunk."""
    user_vec, item_vec = case.vectors()
    return chunked(lambda at: case.head(user_vec[at : at + 4], item_vec), seen, k, 4)


@torch.inference_mode()
def naive(case: Case, seen: Seen, k: int) -> Tensor:
    """Item rows by the network on every pair, 4096 at a time."""
    network = case.network

    def score(at: int) -> Tensor:
        items = torch.arange(case.items).split(4096)
        return torch.cat([network(torch.full_like(item, at), item) for item in items]).unsqueeze(0)

    return chunked(score, seen, k, 1)


def chunked(score: Callable[[int], Tensor], seen: Seen, k: int, at_once: int) -> Tensor:
    """topk of the scores of each chunk of users, without what they have seen."""
    lists = []
    for at in range(0, len(seen.start) - 1, at_once):
        scores = score(at)
        start = seen.start[at : at + at_once + 1]
        owner = np.repeat(np.arange(len(start) - 1), np.diff(start))
        scores[torch.from_numpy(owner), torch.from_numpy(seen.item_row[start[0] : start[-1]])] = -torch.inf
        lists.append(scores.topk(k).indices)
    return torch.cat(lists)


def measure(case: Case, k: int, rounds: int) -> str:
    """One row: pairs a second of each way, and how far ours is ahead."""
    ways = {"ours": ours, "torch": plain, "naive": naive}
    rows = np.random.default_rng(0).integers(0, case.items, SEEN * case.users)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Tensor] = {}
    for number in range(rounds + 1):  # the first round compiles and is not counted
        for name, way in ways.items():
            users = -(-case.users // 16) if name == "naive" else case.users  # it takes too long for all
            seen = Seen(np.arange(users + 1) * SEEN, rows[: SEEN * users])
            started = time.perf_counter()
            found[name] = way(case, seen, k)
            if number:
                seconds[name].append((time.perf_counter() - started) / (users * case.items))
    for name, lists in found.items():
        same = (lists == found["ours"][: len(lists)]).double().mean().item()
        if same < 0.99:  # float32 may swap neighbours, no more
            raise SystemExit(f"{case.name}: only {same:.1%} of {name}'s places hold the items of ours")
    speed = {name: 1e-6 / statistics.median(values) for name, values in seconds.items()}
    cells = [f"{speed[name]:>9.1f}" for name in ways]
    ratios = [f"{speed['ours'] / speed[name]:>8.1f}x" for name in ("torch", "naive")]
    return f"{case.name:<34}{''.join(cells)}   {' '.join(ratios)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"users": 2048, "items": 10_000, "k": 100, "rounds": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.manual_seed(0)
    case = mlp_case("hybrid: MLP 16-8-1 and dot 90", hybrid_head(), options.users, options.items)
    title = f"{options.items:,} items, k {options.k}, {torch.get_num_threads()} threads"
    sys.stdout.write(f"{title:<34}{'ours':>9}{'torch':>9}{'naive':>9}   ours/torch ours/naive   (Mpairs/s)\n")
    sys.stdout.write(measure(case, options.k, options.rounds) + "\n")


if __name__ == "__main__":
    main()
