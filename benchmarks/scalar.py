"""What a function of the dot product costs: the time of top-K by g(<u, v>) over that by <u, v>, interleaved in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.scalar [--users 512] [--items 160000] [--k 10] [--rounds 5]

g is a network of widths 32, 16 and 8 that has learnt the shape named. "Without an engine" is the float64 copy of the
module that serves heads of an unknown family, timed for a few users. The least of the rounds, in processor time.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import numpy as np
import torch
from torch import Tensor

from rec_export.bench.case import some_seen
from rec_export.topk import Ranker
from rec_export.topk.blocks import BlockEngine
from rec_export.towers import DotHead, Head, ScalarHead

WIDTH, FEW, STEPS = 64, 4, 500
SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "rising": lambda x: torch.tanh(x / 3) + x / 20,
    "falling": lambda x: -torch.tanh(x / 3) - x / 20,
    "valley": lambda x: (x / 4).square(),
    "summit": lambda x: -(x / 4).square(),
}


def learnt(shape: Callable[[Tensor], Tensor]) -> ScalarHead:
    """A network that has learnt a shape, for products of some standard deviations."""
    torch.manual_seed(0)
    head, one = ScalarHead((32, 16, 8)), torch.ones(1, 1)
    adam = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(STEPS):
        x = 3 * torch.randn(256, 1)
        loss = (head(one, x)[0] - shape(x[:, 0])).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return head.eval()


def seconds(work: Callable[[], object]) -> float:
    """Of the processor."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("users", 512), ("items", 160_000), ("k", 10), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    user_vec, item_vec = (torch.randn(rows, WIDTH) / WIDTH**0.25 for rows in (asked.users, asked.items))
    seen, few = some_seen(asked.users, asked.items), np.arange(FEW)
    heads: dict[str, Head] = {"dot product": DotHead(), **{name: learnt(shape) for name, shape in SHAPES.items()}}
    rankers = {name: Ranker(head, item_vec) for name, head in heads.items()}
    whole = BlockEngine(heads["rising"], item_vec)

    def rank(name: str) -> object:
        return rankers[name].top_k(user_vec, asked.k, seen)

    taken: dict[str, list[float]] = {name: [] for name in [*heads, "without an engine"]}
    for _ in range(asked.rounds + 1):
        for name in heads:
            taken[name].append(seconds(lambda name=name: rank(name)))  # type: ignore[misc]
        taken["without an engine"].append(
            seconds(lambda: whole.top_k(user_vec[:FEW], asked.k, seen.take(few))) * asked.users / FEW
        )
    least = {name: min(rounds[1:]) for name, rounds in taken.items()}  # the first compiles and prepares
    print("| g | time, in that of a dot product | million pairs a second |\n|---|---|---|")  # noqa: T201
    for name, time_taken in least.items():
        pairs = asked.users * asked.items / time_taken / 1e6
        print(f"| {name} | {time_taken / least['dot product']:.2f} | {pairs:,.0f} |")  # noqa: T201


if __name__ == "__main__":
    main()
