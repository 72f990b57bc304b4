"""Whether two matrices of scores give the same lists. Items whose scores are as good as equal may change places."""

from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt

from rec_export.data.columns import Float32, Int64

Float64 = npt.NDArray[np.float64]


@final
class Comparison(NamedTuple):
    """The lists of several users from two matrices of scores, compared at one k."""

    k: int
    identical: float  # share of the lists that have the same items in the same order
    overlap: float  # share of the places that hold an item of the list they should be
    wrong: int  # items that are not good enough for the list, and those that are too good to be missing from it
    inversions: int  # places that hold an item which is better than one before it


def compared(reference: Float32, candidate: Float32, eps: Float64, k: int) -> Comparison:
    """Compare the k best of each row by score: float32 [B, N] twice, float64 [B, 1].

    With t the k-th best score of the reference, an item may be in the list if its own reference score is t - eps or
    more, and must be if it is above t + eps; two items in turn are out of order if they are more than eps apart.
    """
    truth = reference.astype(np.float64)
    wanted, chosen = best(reference, k), best(candidate, k)
    chosen_score = np.take_along_axis(truth, chosen, axis=1)
    last = np.take_along_axis(truth, wanted[:, -1:], axis=1)
    present = np.zeros(truth.shape, dtype=np.bool_)
    np.put_along_axis(present, chosen, True, axis=1)
    lowest_before = np.minimum.accumulate(chosen_score, axis=1)
    return Comparison(
        k=k,
        identical=float((wanted == chosen).all(axis=1).mean()),
        overlap=float(np.take_along_axis(present, wanted, axis=1).mean()),
        wrong=int((chosen_score < last - eps).sum() + (~present & (truth > last + eps)).sum()),
        inversions=int((chosen_score[:, 1:] > lowest_before[:, :-1] + eps).sum()),
    )


def best(score: Float32, k: int) -> Int64:
    """The columns of the k best of each row of float32 [B, N], ties to the lower column: int64 [B, k]."""
    return np.argsort(-score, axis=1, kind="stable")[:, :k]
