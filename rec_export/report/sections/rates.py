"""The range test of learning rates, where one was made."""

from matplotlib.axes import Axes

from rec_export.report.drawing import MUTED, colour, figure, logarithmic
from rec_export.report.found import RANGE, Found
from rec_export.report.page import Figure, Section
from rec_export.report.views import RangeTest


def section(found: Found) -> Section | None:
    """One figure for each test."""
    tests = {label: RangeTest.read(path / RANGE) for label, path in found.ranges.items()}
    if not tests:
        return None
    label, first = next(iter(tests.items()))
    headline = f"The loss falls fastest at a learning rate of {first.suggested:g} ({label})."
    return Section("rates", "Learning rate", headline, [drawn(label, test) for label, test in tests.items()])


def drawn(label: str, test: RangeTest) -> Figure:
    """The loss over the rates."""

    def draw(axes: Axes) -> None:
        axes.plot(test.rates, test.losses, color=colour(0))
        axes.axvline(test.suggested, color=MUTED, linestyle="--", linewidth=1)
        axes.annotate(f" {test.suggested:g}", (test.suggested, max(test.losses)), color=MUTED, va="top")
        logarithmic(axes, "x")
        axes.set(xlabel="learning rate", ylabel="loss (running mean)")

    alt = (
        f"The loss over learning rates from {test.rates[0]:.2g} to {test.rates[-1]:.2g}: it begins at"
        f" {test.losses[0]:.4g}, is least at {min(test.losses):.4g}, and falls fastest at {test.suggested:g}."
    )
    return figure(draw, f"Range test: {label}", alt)
