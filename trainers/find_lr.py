"""The range test: the learning rate grows at each step, and the loss tells which rates a model can bear.

Smith 2015, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186. Reference system 002 used it.
"""

import math
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import final

import numpy as np

from rec_export.config import Config
from rec_export.errors import UsageError
from rec_export.files import new_directory, refuse_existing
from rec_export.models import spec_of
from rec_export.progress import busy, track
from rec_export.record import Record
from trainers.examples import Batch
from trainers.job import read_source, ready
from trainers.loop import Run
from trainers.parallel import ALONE

SMOOTHING = 0.95  # of the running mean of the loss
BROKEN = 1.5  # a loss so many times the least one ends the test
EDGE = 0.1  # of the steps at each end that are too noisy to tell a slope


@final
class FindLrJob(Record):
    """What to test, between which rates."""

    config: Config
    out: Path
    low: float
    high: float
    steps: int


@final
class RangeTest(Record):
    """range.json: the loss at each rate, and the rate at which it falls fastest."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]  # running means
    suggested: float


def run(job: FindLrJob) -> RangeTest:
    """Test, and write range.json and range.png below the new directory job.out."""
    refuse_existing(job.out)
    if job.low >= job.high:
        raise UsageError(f"--low is {job.low:g}, but should be below --high, {job.high:g}")
    spec = spec_of(job.config.model, "the configuration")
    if spec.trainer != "gradient":
        raise UsageError(f"the model {job.config.model['name']!r} does not learn by batches, which are what is tested")
    made = ready(job.config, spec, read_source(job.config, spec), ALONE.on(job.config.training.device))
    assert isinstance(made.course, Run)
    rates, losses = tested(made.course, job)
    result = RangeTest(rates=rates, losses=losses, suggested=suggestion(rates, losses))
    with new_directory(job.out) as folder:
        result.write(folder / "range.json")
        with busy("drawing"):
            draw(result, folder / "range.png")
    return result


def tested(course: Run, job: FindLrJob) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The rates that were tried, and the running mean of the loss at each."""
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    growth = (job.high / job.low) ** (1 / max(job.steps - 1, 1))
    first = [group["lr"] for group in course.optimizer.param_groups]
    course.roof.train()
    for step, batch in zip(track(range(job.steps), job.steps, "range test"), endless(course), strict=False):
        rate = job.low * growth**step
        for group, lr in zip(course.optimizer.param_groups, first, strict=True):
            group["lr"] = rate * lr / course.plan.lr  # a head keeps its share
        mean = SMOOTHING * mean + (1 - SMOOTHING) * course.step(batch)
        loss = mean / (1 - SMOOTHING ** (step + 1))
        if not math.isfinite(loss) or (losses and loss > BROKEN * min(losses)):
            break
        rates.append(rate)
        losses.append(round(loss, 6))
    if len(rates) < 3:
        raise UsageError(f"the loss breaks after {len(rates)} steps; begin with a smaller --low than {job.low:g}")
    return tuple(rates), tuple(losses)


def endless(course: Run) -> Iterator[Batch]:
    """Batches of one epoch after another."""
    return chain.from_iterable(course.examples.batches(course.plan.batch, course.rng) for _ in count())


def suggestion(rates: tuple[float, ...], losses: tuple[float, ...]) -> float:
    """The rate at which the loss falls fastest on a logarithmic axis, to two digits."""
    slope = np.gradient(np.array(losses), np.log(np.array(rates)))
    edge = int(EDGE * len(rates))
    inner = slope[edge : len(slope) - edge] if len(slope) > 2 * edge else slope
    return float(f"{rates[edge + int(inner.argmin())]:.2g}")


def draw(result: RangeTest, path: Path) -> None:
    """The loss over the rates, with the suggested one marked."""
    from matplotlib.figure import Figure  # here, as it takes a second

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogx(result.rates, result.losses)
    axes.axvline(result.suggested, linestyle="--", color="grey")
    axes.set(xlabel="learning rate", ylabel="loss (running mean)", title=f"falls fastest at {result.suggested:g}")
    figure.savefig(path, dpi=120)
