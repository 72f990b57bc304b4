"""How far the scores of two nights lie apart: the population stability index over quantiles of the night before.

Scores are counted in bins that are the same on every night and in every part, so that counts add up: the upper half of
a float32's bits, which is a step of less than one per cent of the score.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from rec_export.data.columns import Int64
from rec_export.topk.compiled import compiled

SHIFT = 16  # bits of a float32 that a bin leaves out
MINUS_ZERO = np.uint32(1 << 31)
ZERO = 1 << 31 >> SHIFT  # the bin of 0
GROUPS = 10  # quantiles of the night before
LEAST = 1e-4  # share that an empty group counts as


def score_counts(score: npt.NDArray[np.float32]) -> pd.Series:
    """float32 [R] -> how many scores lie in each bin; bins are numbered in the order of scores."""
    count = np.zeros(2 * ZERO, np.int64)
    tally(score.view(np.uint32), count)
    count = np.concatenate([count[ZERO:][::-1], count[:ZERO]])  # the more negative, the larger the bits
    number = np.flatnonzero(count)
    return pd.Series(count[number], index=number)


@compiled
def tally(bits: npt.NDArray[np.uint32], count: Int64) -> None:
    """Count float32 numbers, uint32 [R] by their bits, in the bins of `count`; -0 as 0."""
    for at in range(len(bits)):
        bit = bits[at]
        if bit == MINUS_ZERO:
            bit = np.uint32(0)
        count[bit >> np.uint32(SHIFT)] += 1


def stability(before: pd.Series, now: pd.Series) -> float | None:
    """The population stability index, sum (p - q) ln(p / q), over deciles of `before`; None where one holds nothing.

    Up to 0.1 is taken for the same, from 0.25 on for another distribution (Siddiqi 2006, Credit Risk Scorecards).
    """
    if before.empty or now.empty:
        return None
    before = before.sort_index()
    group = (before.cumsum() - before) * GROUPS // before.sum()  # of each bin, by where it begins
    edges = before.index[~group.duplicated()][1:]
    then, tonight = (shares(counts, edges) for counts in (before, now))
    return float(((tonight - then) * np.log(tonight / then)).sum())


def shares(counts: pd.Series, edges: pd.Index) -> npt.NDArray[np.float64]:
    """The share of each group that begins at an edge; the first one has none."""
    group = np.searchsorted(edges, counts.index, side="right")
    share = np.bincount(group, counts, len(edges) + 1) / counts.sum()
    return np.maximum(share, LEAST)
