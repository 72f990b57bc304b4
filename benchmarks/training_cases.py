"""The cases of benchmarks/training.py that are ours: `python -m benchmarks.training_cases WORDS` does one of them.

What is found is printed as JSON: likings a second of CPU time, milliseconds, or a curve.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peers.measured import BATCH, DIM, OURS, SECONDS, USERS, rate
from rec_export.config import Config
from rec_export.data.source import Source
from rec_export.data.split import Part
from rec_export.machine import keep_freed
from rec_export.models import spec_of
from rec_export.world import CONTEXT
from trainers.averaging import Averaged
from trainers.course import Course
from trainers.dataset import Dataset
from trainers.loop import Run, sizes_of
from trainers.optimizer import BETAS, RowWiseAdamW
from trainers.parallel import ALONE
from trainers.plan import plan
from trainers.ready import ready, trainer_of

KEEP = 0.98
FIRST = 3  # steps that are not counted
SAMPLED = ("training.candidates=512", "training.batch=4096")


def course_of(config: Path, model: dict[str, Any], *changes: str) -> tuple[Course, int]:
    """Our way of training a model on all rows of a configuration, and how many likings they are."""
    read = Config.load(config, changes)
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
    course.epoch(next(numbers))
    return rate(lambda: course.epoch(next(numbers)), likings)


def by_batches(config: Path, model: dict[str, Any], *changes: str) -> float:
    """Likings a second of what learns by batches, in as many epochs as that takes."""
    course, _ = course_of(config, model, *changes)
    assert isinstance(course, Run)
    course.roof.train()
    steps, likings, started = 0, 0, 0.0
    while True:
        for batch in course.examples.batches(course.plan.batch, course.rng):
            if steps == FIRST:
                likings, started = 0, time.process_time()
            course.step(batch)
            course.kept.after_step(last=False)
            steps, likings = steps + 1, likings + len(batch.target)
            if steps > FIRST and time.process_time() - started > SECONDS:
                return likings / (time.process_time() - started)


WAYS: tuple[Callable[[Path], float], ...] = (
    lambda config: by_epochs(config, {"name": "bpr", "dim": DIM}),
    lambda config: by_epochs(config, {"name": "als", "factors": 32}),
    lambda config: by_batches(config, {"name": "pmf", "dim": DIM}, *SAMPLED),
    lambda config: by_batches(config, {"name": "hybrid", "dim": DIM}, *SAMPLED),
    lambda config: by_batches(config, {"name": "hybrid"}),
)


def step_ms(items: int, row_wise: bool) -> float:
    """Milliseconds of CPU time of a step on two tables, the median: ours with its running mean, or torch's AdamW."""
    torch.manual_seed(0)
    keep_freed()
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


def reached(config: Path, model: dict[str, Any]) -> list[tuple[float, float]]:
    """After each epoch of a search: the CPU seconds of learning so far, and NDCG@10 on the validation rows."""
    read = Config.load(config)
    spec = spec_of(model, "benchmark")
    made = ready(read, spec, Source.read(read.data), ALONE)
    assert made.validation is not None
    course, spent, told, best = made.course, 0.0, [], 0
    for number in range(1, made.plan.epochs + 1):
        started = time.process_time()
        loss, towers = course.epoch(number), course.evaluated()
        spent += time.process_time() - started
        found = made.validation.measure(towers, course.held)
        course.passed(loss, found)
        told.append((spent, found["ndcg@10"]))
        best = max(best, number, key=lambda n: told[n - 1][1])
        if number - best >= made.plan.patience:
            break
    return told


def case(words: list[str]) -> object:
    """What one process finds."""
    if words[0] == "step":
        return step_ms(int(words[1]), words[2] == "row-wise")
    if words[0] == "reach":
        return reached(Path(words[2]), {"name": words[1]})
    return dict(zip(OURS, WAYS, strict=True))[words[0]](Path(words[1]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(json.dumps(case(sys.argv[1:])))
