"""Whether bfloat16 would help the float32 tiles of an MLP head: a tail's pairs a second in both, interleaved.

    OMP_NUM_THREADS=1 python -m benchmarks.bfloat16 [--rounds 12]

The first layer's sum and relu in float32, then products and sums as torch has them. The least of the rounds, in
processor time; the numbers are 64 users by 256 items, which stay in a cache.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import torch
from torch import Tensor

USERS, ITEMS = 64, 256
LAYERS = ((32, 16), (64, 32), (128, 64))


def scores(user: Tensor, item: Tensor, weight: Tensor, bias: Tensor, last: Tensor) -> Tensor:
    """float32 [B, 1, H], float32 [N, H]; the layers in the dtype to try -> [B N]."""
    hidden = torch.relu_(user + item).to(weight.dtype).flatten(0, 1)
    return torch.relu_(torch.addmm(bias, hidden, weight.T)) @ last


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| layer | float32 | bfloat16 | times as fast |\n|---|---|---|---|")  # noqa: T201
    for inputs, outputs in LAYERS:
        torch.manual_seed(0)
        user, item = torch.randn(USERS, 1, inputs), torch.randn(ITEMS, inputs)
        layer = torch.randn(outputs, inputs), torch.randn(outputs), torch.randn(outputs)
        least = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
        for _ in range(asked.rounds):
            for dtype in least:
                parts = [part.to(dtype) for part in layer]
                begun = time.process_time()
                scores(user, item, parts[0], parts[1], parts[2])
                least[dtype] = min(least[dtype], time.process_time() - begun)
        single, brief = (USERS * ITEMS / taken / 1e6 for taken in least.values())
        print(f"| {inputs} -> {outputs} | {single:.0f} | {brief:.0f} | {brief / single:.1f} |")  # noqa: T201


if __name__ == "__main__":
    main()
