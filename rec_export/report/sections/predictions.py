"""How the predictions of a rating model err: density, errors, Q-Q, residuals, and the items it is biased for."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from rec_export.analysis import ItemBias, Predictions
from rec_export.report.drawing import MUTED, colour, dashes, figure
from rec_export.report.found import Found
from rec_export.report.page import Figure, Section, Table, count, number, text, together


def section(found: Found) -> Section | None:
    """Of every evaluation of a model that predicts values."""
    analyses = {
        label: Predictions.read(file)
        for label, path in found.each("evaluation")
        if (file := Path(path) / "predictions.json").is_file()
    }
    if not analyses:
        return None
    lines = [
        f"The errors of {label} on {one.rows:,} held-out rows have mean {one.mean_error:+.3f} and standard"
        f" deviation {one.std_error:.3f}; {tail_words(one)}."
        for label, one in analyses.items()
    ]
    blocks: list[Figure | Table] = []
    for name, one in analyses.items():
        prefix = f"{name}: " if len(analyses) > 1 else ""
        blocks += [density(one, prefix), errors(one, prefix), normality(one, prefix), residuals(one, prefix)]
        blocks += [biased(one.high, f"{prefix}Items that the model places highest for everybody")]
        blocks += [biased(one.low, f"{prefix}Items that the model places lowest for everybody")]
    return Section("predictions", "Predictions", together(lines), [*blocks])


def tail_words(one: Predictions) -> str:
    """How the ends of the errors compare with those of a normal law."""
    low, high = one.quantiles[0] - one.normal[0], one.quantiles[-1] - one.normal[-1]
    if abs(low) < 0.3 and abs(high) < 0.3:
        return "their tails are about those of a normal law"
    ends = [
        f"{'longer' if gap * side > 0 else 'shorter'} {name}"
        for gap, side, name in ((low, -1, "below"), (high, 1, "above"))
        if abs(gap) >= 0.3
    ]
    return f"their tails are {' and '.join(ends)} than those of a normal law"


def density(one: Predictions, prefix: str) -> Figure:
    """Predicted over true values."""
    counts = np.array(one.density.counts)
    x, y = (np.linspace(*axis, counts.shape[0] + 1) for axis in (one.density.x, one.density.y))

    def draw(axes: Axes) -> None:
        level = np.log1p(counts) / np.log1p(counts.max())
        for row, column in np.argwhere(counts > 0):
            corner, wide, high = (x[column], y[row]), x[column + 1] - x[column], y[row + 1] - y[row]
            axes.bar(
                corner[0],
                high,
                wide,
                corner[1],
                align="edge",
                color=colour(0),
                alpha=0.15 + 0.85 * level[row, column],
                linewidth=0,
            )
        ends = max(x[0], y[0]), min(x[-1], y[-1])
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle="--")
        axes.set(xlabel="true value", ylabel="predicted", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))

    alt = (
        f"A density of {one.rows:,} rows: true values from {x[0]:.3g} to {x[-1]:.3g} across, predictions from"
        f" {y[0]:.3g} to {y[-1]:.3g} up; the dashed line is where both are equal."
    )
    return figure(draw, f"{prefix}Predicted over true values; the stronger the colour, the more rows (logarithm)", alt)


def errors(one: Predictions, prefix: str) -> Figure:
    """The distribution of errors."""

    def draw(axes: Axes) -> None:
        axes.stairs(one.errors.counts, one.errors.edges, fill=True, color=colour(0))
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set(xlabel="predicted minus true", ylabel="rows")

    most = int(np.argmax(one.errors.counts))
    alt = (
        f"A histogram of errors; the fullest bar, {one.errors.counts[most]:,} of {sum(one.errors.counts):,}, is from"
        f" {one.errors.edges[most]:.3g} to {one.errors.edges[most + 1]:.3g}."
    )
    return figure(draw, f"{prefix}Distribution of errors", alt)


def normality(one: Predictions, prefix: str) -> Figure:
    """Quantiles of the errors over those of a normal law."""

    def draw(axes: Axes) -> None:
        axes.plot(one.normal, one.normal, color=MUTED, linewidth=1, linestyle="--")
        axes.plot(one.normal, one.quantiles, color=colour(0), marker="o", markersize=2.5, linestyle="")
        axes.set(xlabel="quantile of a normal law", ylabel="of the errors, standardised")

    alt = (
        f"A Q-Q plot: the lowest quantile of errors is {one.quantiles[0]:.2f}, the highest {one.quantiles[-1]:.2f};"
        f" a normal law has {one.normal[0]:.2f} and {one.normal[-1]:.2f}."
    )
    return figure(draw, f"{prefix}Q-Q plot of the errors; on the line they are normal", alt)


def residuals(one: Predictions, prefix: str) -> Figure:
    """Errors by tenth of the predictions."""
    x, middle, low, high = (np.array(column) for column in zip(*one.residuals, strict=True))

    def draw(axes: Axes) -> None:
        axes.fill_between(x, low, high, color=colour(0), alpha=0.2, linewidth=0)
        axes.plot(x, middle, color=colour(0), linestyle=dashes(0), marker="o", markersize=4)
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.set(xlabel="predicted", ylabel="predicted minus true")

    ends = f"{middle[0]:+.3g} for the lowest tenth of predictions to {middle[-1]:+.3g} for the highest"
    alt = f"The median error goes from {ends}."
    return figure(draw, f"{prefix}Residuals by tenth of the predictions: median, and 10% to 90%", alt)


def biased(items: tuple[ItemBias, ...], caption: str) -> Table:
    """Items with the effect that a model gives them."""
    rows = [
        (
            text(one.item),
            text(one.title or ""),
            number(one.effect, "+.3f"),
            count(one.rows),
            number(one.mean, ",.3f"),
            number(one.most, ",.3f"),
        )
        for one in items
    ]
    head = ("item", "title", "mean prediction over that of all items", "known rows", "their mean", "their largest")
    return Table(f"{caption} (where few rows or one large value did it, it is luck)", head, rows)
