"""What evaluate leaves for people to look at beside its metrics: the shape of lists, and how predictions err."""

from statistics import NormalDist
from typing import Self, final

import numpy as np
import numpy.typing as npt

from rec_export.data.columns import Int64
from rec_export.metrics import Float64
from rec_export.record import Record

HEADS = (0.01, 0.05, 0.2, 1.0)  # of the items by popularity: the head, ..., the long tail
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the catalogue
GRID = 40  # cells of a density, along each side
BINS = 41  # of a histogram; odd, so that one is about zero
QUANTILES = tuple(round(q, 4) for q in np.linspace(0.005, 0.995, 100))
EXTREME = 0.002  # share of values beyond each end of an axis


@final
class ListShape(Record):
    """Which items fill the first k places of all lists."""

    k: int
    coverage: float  # share of the catalogue that stands in any list
    reach: tuple[float, ...]  # share of all places that the most listed SHARES of the catalogue fill
    heads: tuple[float, ...]  # share of all places that items of each group of popularity fill, HEADS from the top
    rank_popularity: tuple[float, ...]  # mean share of items that are less popular, by rank

    @classmethod
    def measured(cls, lists: Int64, k: int, popularity: Float64) -> Self:
        """From lists int64 [U, >= k] with -1 for none, and how often each item was liked, float64 [N]."""
        near, items = lists[:, :k], len(popularity)
        below = less_popular(popularity)
        there = near >= 0
        counts = np.bincount(near[there], minlength=items)
        filled = np.cumsum(np.sort(counts)[::-1]) / max(counts.sum(), 1)
        ends = [max(1, round(share * items)) for share in SHARES]
        told = np.where(there, below[np.where(there, near, 0)], 0.0)
        return cls(
            k=k,
            coverage=round(float((counts > 0).mean()), 5),
            reach=rounded(filled[[end - 1 for end in ends]]),
            heads=group_shares(counts.astype(np.float64), popularity),
            rank_popularity=rounded(told.sum(0) / np.maximum(there.sum(0), 1)),
        )


@final
class ListShapes(Record):
    """lists.json: by lister, and what users really liked next, for comparison."""

    items: int
    listers: dict[str, ListShape]
    liked: tuple[float, ...]  # share of held-out likings in each group of popularity


def less_popular(popularity: Float64) -> Float64:
    """The share of items that are less popular than each, float64 [N]."""
    return np.searchsorted(np.sort(popularity), popularity) / max(len(popularity), 1)


def group_shares(weight: Float64, popularity: Float64) -> tuple[float, ...]:
    """The share of weights float64 [N] that falls on each group of items, HEADS by popularity."""
    order = np.argsort(-popularity, kind="stable")
    ends = [max(1, round(share * len(order))) for share in HEADS]  # as of SHARES, one item at least
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    return rounded(np.diff(total[[0, *ends]]) / max(float(weight.sum()), 1e-12))


@final
class Density(Record):
    """Counts of a plane's cells: rows from below, columns from the left."""

    x: tuple[float, float]  # the ends of the axis
    y: tuple[float, float]
    counts: tuple[tuple[int, ...], ...]


@final
class Histogram(Record):
    """Counts between edges, one more than they are."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@final
class ItemBias(Record):
    """An item that a model places high or low for everybody."""

    item: str
    title: str | None
    effect: float  # its mean prediction over users, minus that over all items
    rows: int  # that are known
    mean: float  # of their targets
    most: float  # the largest of them: one such row may have made all of the effect


@final
class Predictions(Record):
    """predictions.json: how a model's predictions of held-out values err."""

    rows: int
    density: Density  # predicted over true
    errors: Histogram  # predicted minus true
    mean_error: float
    std_error: float
    normal: tuple[float, ...]  # quantiles of the normal law ...
    quantiles: tuple[float, ...]  # ... and of the errors, standardised, at QUANTILES
    residuals: tuple[
        tuple[float, float, float, float], ...
    ]  # prediction, and the error's median, 10% and 90%; by tenth
    high: tuple[ItemBias, ...]
    low: tuple[ItemBias, ...]

    @classmethod
    def measured(cls, true: Float64, predicted: Float64, high: tuple[ItemBias, ...], low: tuple[ItemBias, ...]) -> Self:
        """From the values of rows and their predictions, float64 [R] both."""
        error = predicted - true
        mean, std = float(error.mean()), float(error.std()) or 1.0
        bound = float(np.quantile(np.abs(error), 1 - 2 * EXTREME)) or 1.0
        counts, edges = np.histogram(np.clip(error, -bound, bound), BINS, (-bound, bound))
        return cls(
            rows=len(true),
            density=density(true, predicted),
            errors=Histogram(edges=rounded(edges), counts=tuple(counts.tolist())),
            mean_error=round(mean, 5),
            std_error=round(std, 5),
            normal=tuple(round(NormalDist().inv_cdf(q), 4) for q in QUANTILES),
            quantiles=rounded(np.quantile((error - mean) / std, QUANTILES)),
            residuals=by_tenth(predicted, error),
            high=high,
            low=low,
        )


def density(true: Float64, predicted: Float64) -> Density:
    """How often each true value met each prediction; what lies beyond an axis is counted in its last cell."""
    x, y = ends(true), ends(predicted)
    counts, _, _ = np.histogram2d(np.clip(true, *x), np.clip(predicted, *y), GRID, (x, y))
    return Density(x=x, y=y, counts=tuple(tuple(map(int, column)) for column in counts.T))


def ends(value: Float64) -> tuple[float, float]:
    """The ends of an axis that shows nearly all values."""
    low, high = (float(end) for end in np.quantile(value, (EXTREME, 1 - EXTREME)))
    return (round(low, 5), round(high, 5)) if high - low > 1e-6 else (low - 0.5, high + 0.5)


def by_tenth(predicted: Float64, error: Float64) -> tuple[tuple[float, float, float, float], ...]:
    """The errors of rows with predictions of one tenth, the lowest first."""
    order = np.argsort(predicted, kind="stable")
    found = []
    for some in np.array_split(order, min(10, len(order))):
        low, middle, high = np.quantile(error[some], (0.1, 0.5, 0.9))
        found.append(tuple(round(float(one), 5) for one in (predicted[some].mean(), middle, low, high)))
    return tuple((a, b, c, d) for a, b, c, d in found)


def rounded(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Five places are enough for a picture."""
    return tuple(round(float(value), 5) for value in values)
