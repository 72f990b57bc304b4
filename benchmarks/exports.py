"""Rows a CPU second of every exported file beside the eager model, on one core, as a table for docs/exports.md.

    python -m benchmarks.exports CHECKPOINT BUNDLE [--rounds 40]

Rows are the real ones of the checkpoint's tables with made-up histories (exporters/cases.py); the best of interleaved
rounds, with the ratio to eager. `recommender` is whole lists, K 100, 30 items seen: eager is the user tower, the head
over all items, and torch.topk, all in float32; below it, the user tower and the exact engine that `score` takes.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and onnxruntime are imported

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from exporters.cases import Source
from exporters.parts import Part, parts_of
from exporters.recommender import item_vectors
from rec_export.checkpoint import Checkpoint
from rec_export.machine import prepare
from rec_export.runtime import FILES, file_of, load_tower
from rec_export.scorer import BLOCK
from rec_export.topk import Ranker, Seen
from rec_export.towers import Head, Inputs

BATCHES = 1, BLOCK, 4096  # BLOCK is what `score` calls towers with
K, SEEN = 100, 30
AT_ONCE = 256  # users whose scores of all items are held together
CPU = torch.device("cpu")
ROUND = 0.004  # seconds for which a call is repeated: as short as others on the machine leave it alone
Call = Callable[[], Any]


def speeds(calls: dict[str, Call], size: int, rounds: int) -> dict[str, float]:
    """Rows a CPU second of each call; the calls take turns, so that a busy moment of the machine hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {name: max(1, round(ROUND / min(timed(call, 1) for _ in range(3)))) for name, call in calls.items()}
    for _ in range(rounds):
        for name, call in calls.items():
            call()  # what another left in the caches is not its fault
            seconds[name].append(timed(call, repeats[name]))
    return {name: size / min(times) for name, times in seconds.items()}


def timed(call: Call, repeats: int) -> float:
    """CPU seconds of one of so many calls: what others do on a shared machine counts little."""
    started = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - started) / repeats


def tower_calls(part: Part, inputs: Inputs, bundle: Path) -> dict[str, Call]:
    """The eager tower and its exports on one batch."""
    towers = {
        form: load_tower(bundle, part.name, form, CPU)
        for form in FILES
        if (bundle / file_of(part.name, form)).is_file()
    }
    return {"eager": lambda: part.run(inputs)} | {form: partial(tower, inputs) for form, tower in towers.items()}


def list_calls(checkpoint: Checkpoint, parts: tuple[Part, Part, Part], inputs: Inputs, bundle: Path) -> dict[str, Call]:
    """The best K of a batch of users, by the eager tower and the exact engine, and by recommender.onnx."""
    user, item, _ = parts
    item_vec = item_vectors(item, checkpoint.catalogue, checkpoint.trend)
    items, head = torch.from_numpy(item_vec), checkpoint.towers.pair_head
    ranker = Ranker(head, items)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    path = bundle / "onnx" / "recommender.onnx"
    recommender = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    users = len(next(iter(inputs.values())))
    row = np.random.default_rng(1).integers(0, len(item_vec), (users, SEEN))
    feeds = {name: value.numpy() for name, value in inputs.items()} | {"seen": row, "k": np.array(K)}
    seen, hidden = Seen(np.arange(0, row.size + 1, SEEN), row.ravel()), torch.from_numpy(row)
    return {
        "eager": lambda: plain_lists(head, user.run(inputs), items, hidden),
        "onnx": lambda: recommender.run(None, feeds),
        "engine": lambda: ranker.top_k(user.run(inputs), K, seen),
    }


def plain_lists(head: Head, user_vec: Tensor, item_vec: Tensor, hidden: Tensor) -> Tensor:
    """The best K as one writes them in torch: float32 [B, Du], float32 [N, Di], int64 [B, S] -> int64 [B, K]."""
    with torch.inference_mode():
        best = [
            torch.topk(head(users, item_vec).scatter_(1, rows, -torch.inf), K).indices
            for users, rows in zip(user_vec.split(AT_ONCE), hidden.split(AT_ONCE), strict=True)
        ]
    return torch.cat(best)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    prepare()  # as the command does
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # ONNX Runtime takes as many threads as there are cores
    checkpoint = Checkpoint.read(options.checkpoint)
    parts = parts_of(checkpoint.towers, checkpoint.blueprint)
    catalogue, history = checkpoint.catalogue, checkpoint.blueprint.data.history
    sys.stdout.write(f"| file | batch | {' | '.join(['eager', *FILES])} |\n|{'---|' * (len(FILES) + 3)}\n")
    for size in BATCHES:
        batches = []
        for part, side in zip(parts, catalogue, strict=False):
            source = Source(part.inputs, side, catalogue.items.trained, history)
            batches.append({name: torch.from_numpy(array) for name, array in source.batch(size).items()})
            line(part.name, size, speeds(tower_calls(part, batches[-1], options.bundle), size, options.rounds))
        lists = speeds(list_calls(checkpoint, parts, batches[0], options.bundle), size, max(options.rounds // 8, 3))
        line("recommender", size, lists)
        line("exact engine", size, {"eager": lists["engine"]})


def line(name: str, size: int, speed: dict[str, float]) -> None:
    """A line of the table."""
    cells = [f"{speed['eager']:,.0f}"]
    cells += [f"{speed[form]:,.0f} ({speed[form] / speed['eager']:.2f}x)" if form in speed else "" for form in FILES]
    sys.stdout.write(f"| {name} | {size:,} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
