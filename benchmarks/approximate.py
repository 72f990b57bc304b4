"""What approximate lists save and what they miss: exact and approximate top-K, interleaved in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.approximate [--users 256] [--items 160000] [--rounds 3] [CASE ...]

Cases are those of `rec-export bench` with hidden layers. The least of the rounds, in processor time; to prepare the
basis is told apart, as that is done once for each process. Recall: the mean share of the exact list.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import numpy as np
import torch

from rec_export.bench.cases import cases
from rec_export.topk import Ranker, TopK
from rec_export.topk.approximate import PILOTS, ApproximateRanker, pays

CASES = ["mlp_k10", "mlp_k100", "mlp3_k10", "gated_k10"]


def timed(work: Callable[[], TopK]) -> tuple[float, TopK]:
    """Seconds of the processor, and what came of them."""
    begun = time.process_time()
    done = work()
    return time.process_time() - begun, done


def compared(name: str, users: int, items: int, rounds: int) -> str:
    """A row of the table."""
    case = cases(2 * (users + PILOTS), items)[name]()  # of which networks learn from one half
    pilot_vec, user_vec = case.user_vec[-PILOTS:], case.user_vec[:users]
    seen = case.seen.take(np.arange(users))
    begun = time.process_time()
    near = ApproximateRanker(case.head, case.item_vec, pilot_vec)
    prepared, exact = time.process_time() - begun, Ranker(case.head, case.item_vec)
    lists: dict[str, TopK] = {}
    least = {"exact": np.inf, "approximate": np.inf}
    for round_ in range(rounds + 1):  # the first compiles, and prepares the exact engine
        for kind, ranker in (("exact", exact), ("approximate", near)):
            taken, lists[kind] = timed(lambda ranker=ranker: ranker.top_k(user_vec, case.k, seen))  # type: ignore[misc]
            least[kind] = min(least[kind], taken) if round_ > 0 else np.inf
    rows = zip(lists["exact"].item_row, lists["approximate"].item_row, strict=True)
    recall = np.mean([np.isin(one, other).mean() for one, other in rows])
    own = [f"{1000 * least[kind] / users:.2f} ms" for kind in least]
    chosen = "yes" if pays(case.head, case.item_vec) else "no"
    ratio = least["exact"] / least["approximate"]
    return f"| {name} | {items:,} | {own[0]} | {own[1]} | {ratio:.1f} | {prepared:.1f} s | {recall:.4f} | {chosen} |"


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", default=CASES)
    for name, default in (("users", 256), ("items", 160_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| case | items | exact, a user | approximate, a user | times as fast | to prepare | recall | chosen |")  # noqa: T201
    print("|---|---|---|---|---|---|---|---|")  # noqa: T201
    for name in asked.case:
        print(compared(name, asked.users, asked.items, asked.rounds), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
