"""The range test: the learning rate grows at each step, and the loss tells which rates a model can bear.

Smith 2015, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186. Reference system 002 used it. The
paper has one test; here several with other seeds are averaged (range_curve.py).
"""

import math
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import final

import numpy as np
from pydantic import Field

from rec_export.config import Config
from rec_export.errors import UsageError
from rec_export.files import new_directory, refuse_existing
from rec_export.machine import usual_torch
from rec_export.models import spec_of
from rec_export.progress import track
from rec_export.record import Record
from rec_export.towers import ModelSpec
from rec_export.words import counted
from rec_export.world import CONTEXT
from trainers.examples import Batch
from trainers.loop import Run, sizes_of
from trainers.parallel import ALONE, Group
from trainers.range_curve import told
from trainers.ready import Ready, read_source, ready

MEMORY = 0.9  # of the running mean that tells whether the loss has broken
BROKEN = 1.5  # a running mean so many times the least one ends a test
FEWEST = 10  # steps before that, or there is no curve


@final
class FindLrJob(Record):
    """What to test, between which rates, and how often."""

    config: Config
    out: Path
    low: float = 1e-5
    high: float = 1.0
    steps: int = 200
    seeds: int = Field(default=3, ge=1)


@final
class RangeTest(Record):
    """range.json: the loss at each rate, and the rate at which it falls fastest."""

    rates: tuple[float, ...]
    batches: tuple[float, ...]  # the loss of the batch at each rate, the mean over seeds
    losses: tuple[float, ...]  # the same, smoothed
    seeds: int
    suggested: float | None
    between: tuple[float, float]  # where it falls as fast, within the noise
    reason: str  # why nothing is suggested

    def line(self) -> str:
        """What it says, as a sentence."""
        if self.suggested is None:
            return f"no clear suggestion: {self.reason}"
        low, high = self.between
        least = self.rates[self.losses.index(min(self.losses))]
        return (
            f"the loss falls fastest at {self.suggested:g} ({low:g} to {high:g} within the noise) and is least at"
            f" {least:.2g}"
        )


@usual_torch()
def run(job: FindLrJob) -> RangeTest:
    """Test, and write range.json and range.png below the new directory job.out."""
    refuse_existing(job.out)
    if job.low >= job.high:
        raise UsageError(f"--low is {job.low:g}, but should be below --high, {job.high:g}")
    spec = spec_of(job.config.model, "the configuration")
    if spec.trainer != "gradient":
        raise UsageError(f"the model {job.config.model['name']!r} does not learn by batches, which are what is tested")
    group = ALONE.on(job.config.training.device)
    made = ready(job.config, spec, read_source(job.config, spec), group, habits=False)
    first = made.plan.seed
    tests = {seed: tested(fresh(made, spec, seed, group), job, seed) for seed in range(first, first + job.seeds)}
    result = judged(tests, job)
    with new_directory(job.out) as folder:
        result.write(folder / "range.json")
        draw(result, folder / "range.png")
    return result


def fresh(made: Ready, spec: ModelSpec, seed: int, group: Group) -> Run:
    """New towers, whose weights and batches follow from a seed."""
    if seed == made.plan.seed:
        assert isinstance(made.course, Run)
        return made.course
    chosen = made.plan.model_copy(update={"seed": seed})
    return Run(spec, sizes_of(made.dataset, chosen, CONTEXT), made.dataset, chosen, group)


def tested(course: Run, job: FindLrJob, seed: int) -> list[float]:
    """The loss of the batch at each rate, up to where it breaks."""
    losses: list[float] = []
    mean, least = 0.0, math.inf
    start = [group["lr"] for group in course.optimizer.param_groups]
    course.roof.train()
    rates = track(rates_of(job), job.steps, f"range test, seed {seed}")
    for step, (rate, batch) in enumerate(zip(rates, endless(course), strict=False), 1):
        for group, lr in zip(course.optimizer.param_groups, start, strict=True):
            group["lr"] = rate * lr / course.plan.lr  # a head keeps its share
        loss = course.step(batch)
        mean = MEMORY * mean + (1 - MEMORY) * loss
        now = mean / (1 - MEMORY**step)
        if not math.isfinite(now) or now > BROKEN * least:
            break
        least = min(least, now)
        losses.append(loss)
    if len(losses) < FEWEST:
        raise UsageError(f"the loss breaks after {len(losses)} steps; begin with a smaller --low than {job.low:g}")
    return losses


def rates_of(job: FindLrJob) -> list[float]:
    """The rates of all steps, evenly on a logarithmic axis."""
    return [float(rate) for rate in np.geomspace(job.low, job.high, job.steps)]


def endless(course: Run) -> Iterator[Batch]:
    """Batches of one epoch after another."""
    return chain.from_iterable(course.examples.batches(course.plan.batch, course.rng) for _ in count())


def judged(tests: dict[int, list[float]], job: FindLrJob) -> RangeTest:
    """All tests up to where the first of them breaks, together."""
    length = min(map(len, tests.values()))
    rates, losses = rates_of(job)[:length], np.array([test[:length] for test in tests.values()])
    found = told(np.array(rates), losses, job.steps)
    return RangeTest(
        rates=tuple(rates),
        batches=tuple(losses.mean(axis=0).round(6).tolist()),
        losses=tuple(found.losses.round(6).tolist()),
        seeds=len(tests),
        suggested=found.suggested,
        between=found.between,
        reason=found.reason,
    )


def draw(result: RangeTest, path: Path) -> None:
    """The loss over the rates, batch by batch and smoothed, with the suggested rate marked."""
    from matplotlib.figure import Figure  # here, as it takes a second

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogx(result.rates, result.batches, ".", color="0.75", markersize=4, label="batch")
    axes.semilogx(result.rates, result.losses, color="#0072b2", linewidth=2, label="smoothed")
    if result.suggested is not None:
        axes.axvline(result.suggested, linestyle="--", color="0.35", label=f"falls fastest: {result.suggested:g}")
    low, high = min(result.losses), result.losses[0]
    margin = 0.6 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)  # what breaks goes out of sight
    title = "no clear suggestion" if result.suggested is None else ""
    axes.set(xlabel="learning rate", ylabel=f"loss, over {counted(result.seeds, 'seed')}", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path, dpi=120)
