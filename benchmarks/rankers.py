"""Scoring beside peers that need an environment of their own: RecTools' ranker, and Spark's recommendForAllUsers.

    benchmarks/peers/install.sh PEERS
    OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.rankers --peers PEERS

All have one thread and the same vectors, leave out what users have seen, and take turns; the clock is the one on the
wall, as Spark works in a process of its own. Handing Spark's lists over to Python is timed with it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from benchmarks.training import ROOT
from rec_export.bench.case import Case
from rec_export.bench.cases import gaussian
from rec_export.bench.dot_peers import dot_peers, product
from rec_export.bench.measure import check
from rec_export.topk import Ranker

PEERS = ("rectools", "spark")  # the name of the environment, and the end of the script's
SIZES = ((512, 160_000, 10), (512, 20_000, 100), (256, 20_000, 10))
Turn = Callable[[], float]


def write(case: Case, folder: Path) -> None:
    """The case, for benchmarks/peers/asked.py."""
    users, items, k = case.user_vec.numpy(), case.item_vec.numpy(), np.array(case.k)
    np.savez(folder / "case.npz", users=users, items=items, start=case.seen.start, seen=case.seen.item_row, k=k)


def timed(way: Callable[[], object]) -> Turn:
    """A way through the case in this process, as seconds."""

    def turn() -> float:
        began = time.perf_counter()
        way()
        return time.perf_counter() - began

    return turn


def asked(name: str, peers: Path, folder: Path, stack: ExitStack) -> Turn:
    """A peer in its own process, which is asked for each round."""
    script = ROOT / "benchmarks" / "peers" / f"rank_with_{name}.py"
    python = peers / name / "bin" / "python"
    environment = {**os.environ, "PYSPARK_PYTHON": str(python), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    words = [python, script, folder]
    pipe, noise = subprocess.PIPE, stack.enter_context((folder / f"{name}.err").open("w+", encoding="utf-8"))
    process = stack.enter_context(
        subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=noise, text=True, env=environment)
    )
    into, out = process.stdin, process.stdout
    assert into is not None
    assert out is not None

    def turn() -> float:
        into.write("\n")
        into.flush()
        told = out.readline()
        if not told:
            noise.seek(0)
            raise SystemExit(f"{name} failed:\n{noise.read()[-2000:]}")
        return float(json.loads(told))

    stack.callback(into.close)
    return turn


def row(case: Case, peers: Path, rounds: int) -> str:
    """One line: millions of pairs a second of ours, and by how much that is more than the others'."""
    ranker = Ranker(case.head, case.item_vec, case.item_vec.device)
    found = {}

    def ours() -> None:
        found["ours"] = torch.from_numpy(ranker.top_k(case.user_vec, case.k, case.seen).item_row)

    turns = {"ours": timed(ours), "limit": timed(lambda: product(case))}
    turns |= {name: timed(way) for name, way in dot_peers(case).items() if name in ("implicit", "onnxruntime")}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write(case, folder)
        there = [name for name in PEERS if (peers / name / "ready").exists()]
        turns |= {name: asked(name, peers, folder, stack) for name in there}
        seconds: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(rounds + 1):  # the first round prepares and compiles
            for name, turn in turns.items():
                seconds[name].append(turn())
        found |= {name: torch.from_numpy(np.load(folder / f"{name}.npy")) for name in there}
    check(case.name, found)
    usual = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    own = usual.pop("ours")
    speed = len(case.user_vec) * len(case.item_vec) / own / 1e6
    told = "  ".join(f"{name} {value / own:.1f}x" for name, value in usual.items())
    return f"{len(case.user_vec):>6,} {len(case.item_vec):>8,} {case.k:>4} {speed:>7.0f}  {told}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="the folder that benchmarks/peers/install.sh made")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.stdout.write(f"{'users':>6} {'items':>8} {'k':>4} {'ours':>7}  Mpairs/s, over\n")
    for users, items, k in SIZES:
        with torch.inference_mode():
            line = row(gaussian(f"{items} items", users, items, k), options.peers.resolve(), options.rounds)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
