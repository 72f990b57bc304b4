"""Ranking metrics of top-K lists against what users liked next, with bootstrap intervals over users.

Binary relevance; a user with n held-out items. HR@K: any of them in the list. Recall@K: hits / n. NDCG@K: discounted
hits over the best that min(n, K) hits can reach (Jarvelin and Kekalainen 2002). MRR@K: 1 / rank of the first hit.
"""

from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt

from rec_export.data.columns import Bool, Int64
from rec_export.record import Record
from rec_export.sets import distinct

Float64 = npt.NDArray[np.float64]
NAMES = ("hr", "recall", "ndcg", "mrr")
RATING_NAMES = ("rmse", "mae", "r2")  # of rating_metrics.py
LOWER_IS_BETTER = ("rmse", "mae")  # the only ones
MANY = 50_000  # users, of whose means the normal distribution tells as much as draws


class Targets(NamedTuple):
    """The held-out items of users, each pair once."""

    user: Int64  # [pairs] positions in the list of users that are judged, ascending
    item_row: Int64  # [pairs]

    def counts(self, users: int) -> Int64:
        """The held-out items of each user, int64 [U]."""
        return np.bincount(self.user, minlength=users)


@final
class Estimate(Record):
    """A mean over users with its 95% interval (percentile bootstrap; of many users by the normal distribution)."""

    mean: float
    low: float
    high: float


def gain(metric: str, value: float) -> float:
    """A metric so that higher is better, whichever it is."""
    return -value if metric in LOWER_IS_BETTER else value


def hits(lists: Int64, targets: Targets, items: int) -> Bool:
    """Which places of the lists, int64 [U, K] with -1 for none, hold a target; bool [U, K]."""
    key = np.sort(targets.user * (items + 1) + targets.item_row)
    wanted = np.arange(len(lists))[:, None] * (items + 1) + lists
    place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
    return (key[place] == wanted) & (lists >= 0) if len(key) else np.zeros(lists.shape, bool)


def per_user(hit: Bool, count: Int64, k: int) -> dict[str, Float64]:
    """Each metric at k of each user; bool [U, K >= k], int64 [U] -> float64 [U]."""
    near = hit[:, :k]
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], np.cumsum(discount)])[np.minimum(count, k)]
    found = near.sum(1)
    first = near.argmax(1) + 1
    return {
        "hr": (found > 0).astype(np.float64),
        "recall": found / np.maximum(count, 1),
        "ndcg": (near @ discount[: near.shape[1]]) / np.maximum(ideal, 1e-12),
        "mrr": np.where(found > 0, 1 / first, 0.0),
    }


def auc(hit: Bool, listed: Bool, count: Int64, k: int, items: int) -> Float64:
    """AUC@k of each user as the implicit library defines it, float64 [U].

    The area under the ROC curve of the list's first k; liked items that are not in it are taken to lie at random
    among all other items, so that it is about 0.5 + recall / 2. `listed` bool [U, K]: the places that hold an item.
    """
    near, missed = hit[:, :k], (listed & ~hit)[:, :k]
    found, misses = np.cumsum(near, axis=1), missed.sum(1)
    others = np.maximum(items - count, 1)
    area = (found * missed).sum(1) + (near.sum(1) + count) / 2 * (others - misses)
    return area / (np.maximum(count, 1) * others)


def estimates(values: dict[str, Float64], draws: int, seed: int = 0) -> dict[str, Estimate]:
    """The mean of each metric over users, float64 [U] each, and its interval, by a percentile bootstrap."""
    return estimates_over_trainings({metric: value[None] for metric, value in values.items()}, draws, seed)


def estimates_over_trainings(values: dict[str, Float64], draws: int, seed: int = 0) -> dict[str, Estimate]:
    """The mean of each metric over trainings and users, float64 [S, U] each, and its interval over both.

    A draw is one of users, with replacement, of each one's mean over trainings, plus one of trainings, from Student's
    distribution (1908, The Probable Error of a Mean) with S - 1 degrees of freedom, as S are few. What a training does
    for one user and not for another is in both, so the interval is wide rather than narrow. Of one training nothing is
    known of others.
    """
    table = np.stack(list(values.values()), axis=2)
    trainings, users, _ = table.shape
    if users == 0:
        return {}
    rng = np.random.default_rng(seed)
    each = table[0] if trainings == 1 else table.mean(0)
    mean = each.mean(0)
    drawn = draws_of_users(each, draws, rng) if draws else mean[None]
    if trainings > 1 and draws:
        from scipy.special import stdtrit  # here, as training has no use for it

        spread = stdtrit(trainings - 1, (np.arange(draws) + 0.5) / draws)  # of all chances, so that no luck is in it
        error = table.mean(1).std(0, ddof=1) / trainings**0.5
        drawn += rng.permutation(spread)[:, None] * error
        drawn = drawn.clip(table.min((0, 1)), table.max((0, 1)))  # where means can lie
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {
        name: Estimate(mean=round(mean[i], 5), low=round(low[i], 5), high=round(high[i], 5))
        for i, name in enumerate(values)
    }


def draws_of_users(values: Float64, draws: int, rng: np.random.Generator) -> Float64:
    """Means over users drawn with replacement, from float64 [U, M] -> [draws, M].

    Of more than MANY they are drawn from the normal distribution that such means come to, as each draw of a million
    users takes .2 s.
    """
    users = len(values)
    if users > MANY:
        from scipy.special import ndtri  # here, as training has no use for it

        chance = rng.permuted(np.tile((np.arange(draws) + 0.5) / draws, (values.shape[1], 1)), axis=1).T
        drawn: Float64 = values.mean(0) + ndtri(chance) * values.std(0, ddof=1) / users**0.5
        return drawn.clip(values.min(0), values.max(0))  # where means can lie
    weight = np.full(users, 1 / users)
    return np.stack([rng.multinomial(users, weight) @ values / users for _ in range(draws)])


def coverage(lists: Int64, k: int, items: int) -> float:
    """The share of all items that stand in somebody's first k."""
    shown = distinct(lists[:, :k])
    return round(float((shown >= 0).sum()) / max(items, 1), 5)
