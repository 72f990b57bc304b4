"""What the losses of a range test say: the rate at which the loss falls fastest, or why no rate can be told.

One batch is harder than the next, so the slope of a test is mostly noise. Tests with several seeds are averaged and
smoothed by a Gaussian kernel; what is left of the noise follows from the residuals, and a rate is suggested where only
its neighbours fall as fast within it.
"""

from typing import NamedTuple

import numpy as np

from rec_export.metrics import Float64

WIDTH = 0.06  # of the steps: the standard deviation of the weights by which a step's neighbours count
SURE = 5.0  # standard errors that the loss must fall by
ALIKE = 2.0  # standard errors within which slopes are alike
APART = 4.0  # the largest rate of a slope like the steepest one may be so many times the least


class Told(NamedTuple):
    """What several tests say together; `suggested` is None where `reason` says why."""

    losses: Float64  # [S] the mean over tests, smoothed
    suggested: float | None
    between: tuple[float, float]  # the rates at which the loss falls as fast, within the noise
    reason: str


def told(rates: Float64, tests: Float64, steps: int) -> Told:
    """Of rates float64 [S] and the loss of each test at each, float64 [T, S]; `steps` were planned."""
    width = max(WIDTH * steps, 1.0)
    mean = tests.mean(axis=0)
    mean = mean.clip(max=mean[: int(2 * width)].max())  # when it breaks it would outweigh its neighbours
    losses = smoothed(mean, width)
    least = int(losses.argmin())
    slope = np.gradient(losses, np.log(rates))[: max(least, 1)]
    noise = float((mean - losses)[: least + 1].std())  # of one step; below, what the kernel leaves of it
    of_loss = noise / (2 * np.pi**0.5 * width) ** 0.5
    of_slope = noise / (4 * np.pi**0.5 * width**3) ** 0.5 / float(np.log(rates[1] / rates[0]))
    best, alike = int(slope.argmin()), np.flatnonzero(slope <= slope.min() + ALIKE * of_slope)
    first, last = two_digits(rates[alike[0]]), two_digits(rates[alike[-1]])
    reason = ""
    if losses[0] - losses[least] <= SURE * of_loss:
        reason = "the loss falls no more than it may by chance; more --steps or --seeds tell more"
    elif best < 2 * width:  # where the kernel is cut off
        reason = f"the loss falls fastest at the lowest rates; try a smaller --low than {rates[0]:.2g}"
    elif least >= steps - width:
        reason = f"the loss still falls at the highest rates; try a larger --high than {rates[-1]:.2g}"
    elif last > APART * first:
        reason = f"the loss falls about as fast from {first:g} to {last:g}; more --steps or --seeds tell more"
    return Told(losses, None if reason else two_digits(rates[best]), (first, last), reason)


def smoothed(losses: Float64, width: float) -> Float64:
    """Each loss with its neighbours on both sides, by Gaussian weights of so many steps; float64 [S] -> float64 [S]."""
    apart = np.arange(len(losses))[:, None] - np.arange(len(losses))
    weight = np.exp(-0.5 * (apart / width) ** 2)
    mean: Float64 = weight @ losses / weight.sum(axis=1)
    return mean


def two_digits(rate: float) -> float:
    """A rate as people write it."""
    return float(f"{rate:.2g}")
