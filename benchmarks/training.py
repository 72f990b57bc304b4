"""Speed and memory of training beside the `implicit` library, and what a step costs as the catalogue grows.

    python -m benchmarks.training --shared ../shared > docs/training_speed.md

Every case runs in a process of its own, on one thread pinned to one core. Speed is likings learned from in a second of
CPU time, the first epoch (which compiles) not counted; memory is the peak of the whole process, reading included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from benchmarks.made_up import write_log
from rec_export.config import Config
from rec_export.data.source import Source
from rec_export.data.split import Part
from rec_export.machine import prepare
from rec_export.models import spec_of
from rec_export.world import CONTEXT
from trainers.averaging import Averaged
from trainers.course import Course
from trainers.dataset import Dataset
from trainers.job import trainer_of
from trainers.loop import Run, sizes_of
from trainers.optimizer import BETAS, RowWiseAdamW
from trainers.parallel import ALONE
from trainers.plan import plan

ROOT = Path(__file__).resolve().parents[1]
SETS = {"electronics": "amazon-electronics-2023", "retail": "online-retail-ii"}
MADE_UP = {"rows": 5_000_000, "users": 500_000, "items": 150_000}
DIM = 64
SECONDS = 3.0  # of CPU time, at least, that are measured
TABLES = (10_000, 150_000, 1_000_000)  # items
BATCH, USERS = 4096, 100_000
KEEP = 0.98


class Speed(NamedTuple):
    """What a case found out."""

    likings: float  # a second of CPU time
    megabytes: float = 0.0


def course_of(config: Path, model: dict[str, Any]) -> tuple[Course, int]:
    """Our way of training a model on all rows of a configuration, and how many likings they are."""
    read = Config.load(config)
    spec, source = spec_of(model, "benchmark"), Source.read(read.data)
    dataset = Dataset.of(source, source.lessons(Part.TRAIN))
    chosen = plan(dataset, read.training, read.data.history, spec)
    sizes = sizes_of(dataset, chosen, CONTEXT)
    course = trainer_of(spec)(spec, sizes, dataset, chosen, ALONE)
    return course, len(dataset.timeline.item_row)


def by_epochs(config: Path, model: dict[str, Any]) -> float:
    """Likings a second of what learns by whole passes."""
    course, likings = course_of(config, model)
    numbers = iter(range(1, 1 << 30))
    return rate(lambda: course.epoch(next(numbers)), likings)


def by_batches(config: Path) -> float:
    """Likings a second of the default model with the default settings; an epoch holds more than is to be measured."""
    course, _ = course_of(config, {"name": "hybrid"})
    assert isinstance(course, Run)
    course.roof.train()
    done, started = 0, 0.0
    while True:
        for number, batch in enumerate(course.examples.batches(course.plan.batch, course.rng)):
            if number == 5 and done == 0:
                started = time.process_time()
            course.step(batch)
            course.kept.after_step(last=False)
            done += len(batch.target) if started else 0
            if started and time.process_time() - started > SECONDS:
                return done / (time.process_time() - started)


def implicit(config: Path, kind: str) -> float:
    """Likings a second of the library, with as many factors as ours."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    liked = matrix(Config.load(config).data.interactions.path)
    common = {"factors": 32 if kind == "als" else DIM, "iterations": 1, "num_threads": 1, "random_state": 0}
    solver = (AlternatingLeastSquares if kind == "als" else BayesianPersonalizedRanking)(**common)
    return rate(lambda: solver.fit(liked, show_progress=False), liked.nnz)


def matrix(path: Path) -> csr_matrix:
    """Who liked what, float32 [users, items]."""
    table = pq.read_table(path, columns=["user_id", "item_id"])
    codes = [table[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in table.column_names]
    liked = csr_matrix((np.ones(len(table), np.float32), codes))
    liked.data[:] = 1
    return liked


def rate(epoch: Callable[[], object], likings: int) -> float:
    """Likings a second of CPU time, over whole epochs after a first one."""
    epoch()
    started, epochs = time.process_time(), 0
    while time.process_time() - started < SECONDS:
        epoch()
        epochs += 1
    return likings * epochs / (time.process_time() - started)


WAYS: dict[str, Callable[[Path], float]] = {
    "bpr of ours": lambda config: by_epochs(config, {"name": "bpr", "dim": DIM}),
    "bpr of implicit": lambda config: implicit(config, "bpr"),
    "als of ours": lambda config: by_epochs(config, {"name": "als", "factors": 32}),
    "als of implicit": lambda config: implicit(config, "als"),
    "hybrid": by_batches,
}


def step_ms(items: int, row_wise: bool) -> float:
    """Milliseconds of CPU time of a step on two tables, the median: ours with its running mean, or torch's AdamW."""
    torch.manual_seed(0)
    tables = nn.ModuleList([nn.Embedding(rows, DIM, sparse=row_wise) for rows in (USERS, items)])
    if row_wise:
        kept = Averaged(tables, KEEP, [t for t in tables if isinstance(t, nn.Embedding)])
        optimizer: torch.optim.Optimizer = RowWiseAdamW(tables.parameters(), lr=1e-3, betas=BETAS, fused=True)
    else:
        optimizer = torch.optim.AdamW(tables.parameters(), lr=1e-3, betas=BETAS, fused=True)
    seconds = []
    for number in range(40):
        user, item = torch.randint(USERS, (BATCH,)), torch.randint(items, (2 * BATCH,))
        started = time.process_time()
        pair_loss(tables[0](user), tables[1](item)).backward()
        if row_wise:
            for weight in tables.parameters():
                assert weight.grad is not None
                weight.grad = weight.grad.coalesce()
            kept.before_step()
        optimizer.step()
        if row_wise:
            kept.after_step(last=False)
        optimizer.zero_grad(set_to_none=True)
        if number >= 10:
            seconds.append(time.process_time() - started)
    return 1e3 * float(np.median(seconds))


def pair_loss(user: Tensor, item: Tensor) -> Tensor:
    """Pairwise, float32 [B, D], float32 [2 B, D] -> float32 []."""
    liked, other = item.chunk(2)
    return nn.functional.softplus(((other - liked) * user).sum(1)).mean()


def in_process(*words: object) -> Speed:
    """Run one case in a process of its own: what it found, and its peak memory."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.training", "--case", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    return Speed(json.loads(told), usage.ru_maxrss / 1024)


def case(words: list[str]) -> float:
    """What one process finds."""
    prepare()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    if words[0] == "step":
        return step_ms(int(words[1]), words[2] == "row-wise")
    return WAYS[words[0]](Path(words[1]))


def configs(shared: Path, work: Path) -> Iterator[tuple[str, Path]]:
    """The name and the configuration of each log, with its files below `work`."""
    for name, dataset in SETS.items():
        split = [shared / "tools" / "holdout.py", "split", dataset, "--data", shared / "data", "--seed", 0]
        words = [sys.executable, *map(str, split), "--out", str(work / "data" / name)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        (work / f"{name}.yaml").write_text((ROOT / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))
        yield name, work / f"{name}.yaml"
    write_log(work / "made-up.parquet", **MADE_UP)
    (work / "made-up.yaml").write_text("data: {interactions: {path: made-up.parquet}}\n")
    yield "made up", work / "made-up.yaml"


HEAD = """# Speed of training

Made by `python -m benchmarks.training --shared ../shared > docs/training_speed.md` on {cores} shared cores without a
GPU, everything in one run, each case in a process of its own on one thread pinned to one core. Speed is likings learned
from in a second of CPU time (an epoch of `als` is one iteration; `hybrid` reads histories and learns from many items at
once, with its default settings); memory is the peak of the whole process, reading the log included. `bpr` has {dim}
factors, `als` 32. The made-up log has {rows:,} rows of {users:,} users and {items:,} items (benchmarks/made_up.py).

| log | what | likings / CPU second | peak MB |
|---|---|---|---|
"""
STEPS = """
A step on a batch of {batch:,} pairs, tables of {users:,} users and so many items, {dim} factors: CPU milliseconds. Ours
moves the rows of the batch, and their running mean; AdamW is torch's own, fused and without a running mean.

| items | row by row | AdamW |
|---|---|---|
"""


def say(text: str) -> None:
    """A part of the page."""
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    """Print the page, or do one case of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, help="the folder with data/ and tools/holdout.py")
    parser.add_argument("--case", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        say(json.dumps(case(options.case)))
        return
    if options.shared is None:
        parser.error("--shared must be given")
    say(HEAD.format(cores=os.cpu_count(), dim=DIM, **MADE_UP))
    with tempfile.TemporaryDirectory() as work:
        for name, config in configs(options.shared.resolve(), Path(work)):
            for way in WAYS:
                found = in_process(way, config)
                say(f"| {name} | {way} | {found.likings:,.0f} | {found.megabytes:,.0f} |\n")
    say(STEPS.format(batch=BATCH, users=USERS, dim=DIM))
    for items in TABLES:
        ours, dense = (in_process("step", items, how).likings for how in ("row-wise", "dense"))
        say(f"| {items:,} | {ours:.1f} | {dense:.1f} |\n")


if __name__ == "__main__":
    main()
