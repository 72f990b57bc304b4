"""RMSE, MAE and R2 of predicted values, with bootstrap intervals over users.

R2 is 1 - (sum of squared errors) / (sum of squares about the mean of the judged values): 1 is perfect, and who always
says the mean of other rows gets 0 at most.
"""

import numpy as np

from rec_export.data.columns import Int64
from rec_export.metrics import MANY, Estimate, Float64


def sums(user: Int64, value: Float64, predicted: Float64) -> Float64:
    """What the metrics are made of, by user: rows, squared errors, errors, values, squared values; float64 [U, 5].

    Users int64 [R], values and predictions float64 [R]. Values are taken about their mean, for the sake of the digits.
    """
    error = predicted - value
    centred = value - value.mean() if len(value) else value
    columns = (np.ones(len(value)), error**2, np.abs(error), centred, centred**2)
    _, place = np.unique(user, return_inverse=True)
    return np.stack([np.bincount(place, column) for column in columns], axis=1)


def rating_metrics(total: Float64) -> dict[str, Float64]:
    """The metrics of sums over users, float64 [..., 5] -> float64 [...]; R2 is 0 where all values are one."""
    rows, squared, absolute, value, square = np.moveaxis(total, -1, 0)
    about_mean = square - value**2 / rows
    varied = about_mean > 1e-12 * np.maximum(square, 1e-300)
    r2 = np.where(varied, 1 - squared / np.where(varied, about_mean, 1.0), 0.0)
    return {"rmse": np.sqrt(squared / rows), "mae": absolute / rows, "r2": r2}


def rating_estimates(total: Float64, draws: int, less: Float64 | None = None) -> dict[str, Estimate]:
    """Each metric of sums by user, float64 [U, 5], and its 95% interval (percentile bootstrap over users).

    `less`: those of another predictor on the same rows, whose metrics are subtracted draw by draw (paired).
    """
    both = drawn(total if less is None else np.concatenate([total, less], axis=1), draws)
    values = rating_metrics(both[:, :5])
    if less is not None:
        theirs = rating_metrics(both[:, 5:])
        values = {name: value - theirs[name] for name, value in values.items()}
    found = {}
    for name, value in values.items():
        low, high = np.percentile(value[1:] if draws else value, [2.5, 97.5])
        found[name] = Estimate(mean=round(float(value[0]), 5), low=round(float(low), 5), high=round(float(high), 5))
    return found


def drawn(total: Float64, draws: int, seed: int = 0) -> Float64:
    """The sums over all users, then over as many users drawn with repeats, float64 [U, n] -> [1 + draws, n].

    Of more than MANY users the latter are drawn from the normal distribution that such sums come to.
    """
    rng, users = np.random.default_rng(seed), len(total)
    if users > MANY and draws:
        spread = users * np.cov(total, rowvar=False)
        return np.concatenate([total.sum(0)[None], rng.multivariate_normal(total.sum(0), spread, draws)])
    share = np.full(users, 1 / users)
    return np.stack([total.sum(0), *(rng.multinomial(users, share) @ total for _ in range(draws))])
