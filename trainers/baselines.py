"""What a prediction of values must beat: the mean, and the biases of users and items."""

from itertools import product
from typing import NamedTuple, Self

import numpy as np

from rec_export.config import Target
from rec_export.data.columns import Bool, Int64
from rec_export.data.log import Log
from rec_export.metrics import Float64
from trainers.dataset import Dataset
from trainers.targets import targets_of

RIDGES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
SWEEPS = 15
TENTH = 10  # one row in so many chooses the ridge
ROWS = 500_000  # that choose it, at most
MIDDLE = 10.0  # the ridge where there are too few rows to choose by


class Pairs(NamedTuple):
    """Rows of a log with their targets; -1 is an unknown user or item."""

    user: Int64  # [R]
    item: Int64  # [R]
    target: Float64  # [R]

    @classmethod
    def of(cls, log: Log, target: Target) -> Self:
        """From a log with values."""
        return cls(log.user_row.astype(np.int64), log.item_row.astype(np.int64), targets_of(log.value, target))

    @classmethod
    def learned(cls, dataset: Dataset, target: Target) -> Self:
        """From the rows of a dataset whose values are to be predicted."""
        assert dataset.rated is not None
        return cls.of(dataset.rated, target)

    def at(self, row: Bool | Int64) -> "Pairs":
        """The rows that are kept, bool [R], or the rows at these places, int64 [n]."""
        return Pairs(self.user[row], self.item[row], self.target[row])


class Ridge(NamedTuple):
    """How strongly biases are drawn to 0: as by so many rows at the mean."""

    user: float
    item: float


class Biases(NamedTuple):
    """mean + b_u + b_i, which make sum (r - mean - b_u - b_i)^2 + ridge_u sum b_u^2 + ridge_i sum b_i^2 least.

    Koren, Bell and Volinsky 2009, Matrix Factorization Techniques for Recommender Systems (IEEE Computer 42), with a
    ridge of their own for users and items, as in Koren 2010, Factor in the Neighbors (ACM TKDD 4), section 2.1.
    """

    mean: float
    user: Float64  # [users + 1], the last one, which is also -1, for those who have no row
    item: Float64  # [items + 1]
    ridge: Ridge

    @classmethod
    def of(cls, known: Pairs, users: int, items: int, ridge: Ridge | None = None) -> Self:
        """From known rows; without a ridge, by the best one."""
        ridge = ridge or chosen_ridge(known, users, items)
        mean = float(known.target.mean())
        rest = known.target - mean
        user, item = np.zeros(users + 1), np.zeros(items + 1)
        for _ in range(SWEEPS):
            item = damped(known.item, rest - user[known.user], items + 1, ridge.item)
            user = damped(known.user, rest - item[known.item], users + 1, ridge.user)
        return cls(mean, user, item, ridge)

    def predict(self, user: Int64, item: Int64) -> Float64:
        """The targets of rows, int64 [R], int64 [R] -> float64 [R]."""
        return self.mean + self.user[user] + self.item[item]


def chosen_ridge(known: Pairs, users: int, items: int) -> Ridge:
    """The one whose biases predict a tenth of the rows best from the others."""
    order = np.random.default_rng(0).permutation(len(known.user))[:ROWS]
    judged, learned = known.at(order[::TENTH]), known.at(np.delete(order, np.s_[::TENTH]))
    if len(learned.user) == 0:
        return Ridge(MIDDLE, MIDDLE)

    def loss(ridge: Ridge) -> float:
        error = Biases.of(learned, users, items, ridge).predict(judged.user, judged.item) - judged.target
        return float((error**2).sum())

    return min((Ridge(*pair) for pair in product(RIDGES, RIDGES)), key=loss)


def damped(row: Int64, rest: Float64, rows: int, ridge: float) -> Float64:
    """The mean rest of each row drawn towards 0, as if `ridge` rests of 0 were there too, float64 [rows]."""
    return np.bincount(row, rest, rows) / (np.bincount(row, minlength=rows) + ridge)
