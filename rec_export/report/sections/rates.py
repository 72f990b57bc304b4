"""The range test of learning rates, where one was made."""

from matplotlib.axes import Axes

from rec_export.report.drawing import MUTED, colour, figure, logarithmic
from rec_export.report.found import RANGE, Found
from rec_export.report.page import Figure, Section, together
from rec_export.report.views import RangeTest


def section(found: Found) -> Section | None:
    """One figure for each test."""
    tests = {label: RangeTest.read(path / RANGE) for label, path in found.ranges.items()}
    if not tests:
        return None
    lines = [
        f"No learning rate is suggested for {label}: {one.reason}."
        if one.suggested is None
        else f"The loss falls fastest at a learning rate of {one.suggested:g} ({label})."
        for label, one in tests.items()
    ]
    return Section("rates", "Learning rate", together(lines), [drawn(label, test) for label, test in tests.items()])


def drawn(label: str, test: RangeTest) -> Figure:
    """The loss over the rates."""

    def draw(axes: Axes) -> None:
        if test.batches:
            axes.plot(test.rates, test.batches, ".", color=MUTED, alpha=0.5, markersize=3)
        axes.plot(test.rates, test.losses, color=colour(0))
        low, high = min(test.losses), test.losses[0]
        margin = 0.6 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)  # what breaks goes out of sight
        if test.suggested is not None:
            axes.axvline(test.suggested, color=MUTED, linestyle="--", linewidth=1)
            axes.annotate(f" {test.suggested:g}", (test.suggested, high + margin), color=MUTED, va="top")
        logarithmic(axes, "x")
        axes.set(xlabel="learning rate", ylabel="loss (line: smoothed)")

    falls = "no rate is suggested" if test.suggested is None else f"falls fastest at {test.suggested:g}"
    alt = (
        f"The loss over learning rates from {test.rates[0]:.2g} to {test.rates[-1]:.2g}: it begins at"
        f" {test.losses[0]:.4g}, is least at {min(test.losses):.4g}; {falls}."
    )
    return figure(draw, f"Range test: {label}", alt)
