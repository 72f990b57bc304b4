"""Top-K of dot products beside the usual ways to it, in one run on the same vectors, seen items filtered inside.

    OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.dot_product [--users 1024] [--rounds 5]
        [--bundle DIR --interactions LOG --items FILE]...

Millions of user x item pairs a second (medians of interleaved rounds; in seconds of processor time with one thread, as
other processes disturb these least, of the clock with more), and how many times as fast as each other way ours is.

    ours         rec_export.topk: exact, float64 decides; the catalogue prepared beforehand, as that is once a night
    limit        the float32 matrix product alone, nothing selected
    torch        matmul + topk in chunks of users, float32
    implicit     implicit's topk, float32, as its recommend() calls it
    onnxruntime  MatMul + ScatterND + TopK in chunks of users, float32
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import numpy as np
import onnx
import onnxruntime as ort
import torch
from implicit.cpu.topk import topk
from onnx import TensorProto, helper
from scipy.sparse import csr_matrix
from torch import Tensor

from batch_jobs.job import ScoreJob
from batch_jobs.today import look
from rec_export.bundle import Bundle
from rec_export.scorer import Model, Scorer, chunks
from rec_export.topk import Ranker, Seen
from rec_export.towers import DotHead

AT_ONCE = 128  # users of torch and onnxruntime: their scores should stay in the cache
WIDTH = 64
THREADS = torch.get_num_threads()


class Case(NamedTuple):
    """float32 [B, D], float32 [N, D], what each user has seen, and how long the lists are."""

    name: str
    user_vec: Tensor
    item_vec: Tensor
    seen: Seen
    k: int


Way = Callable[[], Tensor | None]


def made(name: str, users: int, items: int, k: int, skewed: bool = False) -> Case:
    """Gaussian vectors; skewed: a falling spectrum and log-normal norms of the items. 10 to 50 items are seen."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    user_vec, item_vec = torch.randn(users, WIDTH), torch.randn(items, WIDTH)
    if skewed:
        spectrum = torch.arange(1, WIDTH + 1) ** -0.2
        user_vec, item_vec = user_vec * spectrum, item_vec * spectrum * torch.exp(0.5 * torch.randn(items, 1))
    start = np.cumsum([0, *random.integers(10, 51, users)])
    return Case(name, user_vec, item_vec, Seen(start, random.integers(0, items, start[-1])), k)


def trained(bundle: Path, interactions: Path, items: Path | None, users: int, k: int) -> Case:
    """The vectors of an exported bundle with a dot product, as `rec-export score` would make them."""
    job = ScoreJob(bundle=bundle, interactions=interactions, items=items, out=Path("none"), run_date=date.max)
    model = Bundle.read(bundle)
    today = look(model, job)
    towers = Model.of_bundle(model, "torchscript", torch.device("cpu"))
    scorer = Scorer(towers, today.catalogue, today.world, today.eligible)
    some = today.users[:users]
    user_vec = torch.cat([scorer.user_vectors(chunk) for chunk in chunks(some)])
    item_vec = scorer.item_vectors(torch.from_numpy(today.world.trend()))
    return Case(f"trained k{k}", user_vec, item_vec, scorer.seen(some, keep_seen=False), k)


def ways(case: Case) -> dict[str, Way]:
    """The ways to a case, each of which gives item rows, int64 [B, k]; the limit gives nothing."""
    ranker = Ranker(DotHead(), case.item_vec)
    return {
        "ours": lambda: torch.from_numpy(ranker.top_k(case.user_vec, case.k, case.seen).item_row),
        "limit": lambda: product(case),
        "torch": lambda: in_torch(case),
        "implicit": implicit(case),
        "onnxruntime": onnxruntime(case),
    }


def product(case: Case) -> None:
    """The float32 product in tiles that stay in the cache."""
    for users in case.user_vec.split(1024):
        for items in case.item_vec.split(2048):
            users @ items.T


def seen_pairs(case: Case, at: int) -> Tensor:
    """int64 [pairs, 2]: place in the chunk of users that starts at `at`, item row."""
    start = case.seen.start[at : at + AT_ONCE + 1]
    owner = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return torch.from_numpy(np.stack([owner, case.seen.item_row[start[0] : start[-1]]], 1))


def in_torch(case: Case) -> Tensor:
    """Matmul and topk."""
    lists = []
    for at in range(0, len(case.user_vec), AT_ONCE):
        scores = case.user_vec[at : at + AT_ONCE] @ case.item_vec.T
        scores[tuple(seen_pairs(case, at).T)] = -torch.inf
        lists.append(scores.topk(case.k).indices)
    return torch.cat(lists)


def implicit(case: Case) -> Way:
    """Implicit's own kernel."""
    users, items = case.user_vec.numpy(), case.item_vec.numpy()
    start, row = case.seen
    seen = csr_matrix((np.ones(len(row), np.float32), row, start), shape=(len(users), len(items)))
    seen.sum_duplicates()

    def run() -> Tensor:
        rows, _ = topk(items, users, case.k, filter_query_items=seen, num_threads=THREADS)
        return torch.from_numpy(rows.astype(np.int64))

    return run


def onnxruntime(case: Case) -> Way:
    """A graph of three nodes; the items are its constant."""
    items = onnx.numpy_helper.from_array(np.ascontiguousarray(case.item_vec.numpy().T), "items")
    nodes = [
        helper.make_node("MatMul", ["users", "items"], ["all"]),
        helper.make_node("ScatterND", ["all", "seen", "lowest"], ["unseen"]),
        helper.make_node("TopK", ["unseen", "k"], ["score", "row"]),
    ]
    inputs = [
        helper.make_tensor_value_info("users", TensorProto.FLOAT, ["B", case.user_vec.shape[1]]),
        helper.make_tensor_value_info("seen", TensorProto.INT64, ["S", 2]),
        helper.make_tensor_value_info("lowest", TensorProto.FLOAT, ["S"]),
    ]
    outputs = [helper.make_tensor_value_info("row", TensorProto.INT64, ["B", case.k])]
    k = onnx.numpy_helper.from_array(np.array([case.k], np.int64), "k")
    model = helper.make_model(
        helper.make_graph(nodes, "top_k", inputs, outputs, [items, k]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run() -> Tensor:
        lists = []
        for at in range(0, len(case.user_vec), AT_ONCE):
            seen = seen_pairs(case, at).numpy()
            feed: dict[str, Any] = {"users": case.user_vec[at : at + AT_ONCE].numpy(), "seen": seen}
            feed["lowest"] = np.full(len(seen), -np.inf, np.float32)
            lists.append(torch.from_numpy(session.run(["row"], feed)[0]))
        return torch.cat(lists)

    return run


@torch.inference_mode()
def measure(case: Case, rounds: int) -> str:
    """One row of the table."""
    clock = time.process_time if THREADS == 1 else time.perf_counter
    todo, seconds, found = ways(case), dict[str, list[float]](), dict[str, Tensor]()
    for number in range(rounds + 1):  # the first round compiles and prepares, and is not counted
        for name, way in todo.items():
            began = clock()
            lists = way()
            if number:
                seconds.setdefault(name, []).append(clock() - began)
            if lists is not None:
                found[name] = lists
    for name, lists in found.items():
        same = (lists == found["ours"]).double().mean().item()
        if same < 0.99:  # float32 may swap neighbours, no more
            raise SystemExit(f"{case.name}: only {same:.1%} of {name}'s places hold the items of ours")
    pairs = len(case.user_vec) * len(case.item_vec)
    speed = {name: 1e-6 * pairs / statistics.median(values) for name, values in seconds.items()}
    ratios = [f"{speed['ours'] / speed[name]:>{len(name) + 1}.1f}x" for name in todo if name != "ours"]
    size = f"{len(case.item_vec):>8,}{case.item_vec.shape[1]:>5}{case.k:>5}"
    return f"{case.name:<16}{size}{speed['ours']:>8.0f}{speed['limit']:>7.0f}   {' '.join(ratios)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bundle", type=Path, action="append", default=[])
    parser.add_argument("--interactions", type=Path, action="append", default=[])
    parser.add_argument("--items", type=Path, action="append", default=[])
    options = parser.parse_args()
    users = options.users
    todo: list[Callable[[], Case]] = [
        lambda: made("dot_k10_gauss", users, 160_000, 10),
        lambda: made("dot_k100_gauss", users, 160_000, 100),
        lambda: made("dot_k10_skew", users, 160_000, 10, skewed=True),
        lambda: made("dot_k100_small", users, 20_000, 100),
    ]
    for files in zip(options.bundle, options.interactions, options.items, strict=True):
        todo += [partial(trained, *files, users, k) for k in (10, 100)]
    title = f"{users:,} users, {THREADS} thread{'s' * (THREADS > 1)}"
    heads = "   ours over: limit  torch  implicit  onnxruntime"
    sys.stdout.write(f"{title:<16}{'items':>6}{'dim':>5}{'k':>5}{'ours':>8}{'limit':>7}{heads}\n")
    for case in todo:
        sys.stdout.write(measure(case(), options.rounds) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
