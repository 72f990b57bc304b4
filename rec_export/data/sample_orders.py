"""The purchases in a made-up shop, day by day, and what each customer would like best on a given day."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self, final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rec_export.data.sample_shop import FUTURE_DAYS, Chunk, Floats, Ints, Shop

DAY_SECONDS = 86_400
AGAIN = np.float32(0.03)
"""How likely a customer is to buy what they already have, compared with the first time."""
WEEKDAY = np.array([0.9, 0.8, 0.85, 0.95, 1.1, 1.35, 1.2], np.float32)
"""How busy the shop is from Monday to Sunday."""


class Orders(NamedTuple):
    """One row a purchase; `second` counts from the first midnight of the log. int64 [E], and rating float32 [E]."""

    user_row: Ints
    item_row: Ints
    second: Ints
    rating: Floats

    @classmethod
    def draw(cls, rng: Generator, shop: Shop) -> Self:
        """All purchases of the log and of the days after it, in the order of time."""
        parts = [part for chunk in shop.chunks("drawing orders") for part in chunk_orders(rng, chunk)]
        whole = cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        return whole.take(np.lexsort((whole.item_row, whole.user_row, whole.second)))

    def take(self, chosen: Ints | NDArray[np.bool_]) -> Self:
        """The rows `chosen`: int64 positions, or a mask."""
        return self._replace(**{name: column[chosen] for name, column in self._asdict().items()})

    def before(self, day: int) -> Self:
        """The purchases of the days before `day`."""
        return self.take(self.second < day * DAY_SECONDS)

    def since(self, day: int) -> Self:
        """The purchases of `day` and the days after it."""
        return self.take(self.second >= day * DAY_SECONDS)


@final
@dataclass(frozen=True)
class Visits:
    """One row a visit, sorted by customer; `row` is a row of the chunk, `size` how many items are bought. int64 [V]."""

    row: Ints
    day: Ints
    size: Ints

    @classmethod
    def draw(cls, rng: Generator, chunk: Chunk) -> Self:
        """At most one visit a day, between the day a customer joins and the day they leave."""
        shop, customers = chunk.shop, chunk.shop.customers
        day = np.arange(shop.days + FUTURE_DAYS)
        joined, left = customers.joined[chunk.user_row, None], customers.left[chunk.user_row, None]
        pace = customers.visits_per_day[chunk.user_row, None] * WEEKDAY[(shop.first_weekday + day) % 7]
        row, visit_day = np.nonzero(
            rng.random(pace.shape, np.float32) < np.where((joined <= day) & (day <= left), pace, 0)
        )
        # Seven of the largest visits fit in the seven tenths of the catalogue that are always on sale.
        largest = len(shop.catalogue.category) // 10
        return cls(row, visit_day, np.minimum(1 + rng.poisson(1.2, len(row)), largest))

    def between(self, first: int, end: int) -> Self:
        """The visits from the day `first` to the day before `end`."""
        here = (self.day >= first) & (self.day < end)
        return type(self)(self.row[here], self.day[here], self.size[here])


def chunk_orders(rng: Generator, chunk: Chunk) -> list[Orders]:
    """The purchases of a chunk of customers, week by week: within a week, taste and appeal hold still."""
    days, horizon = chunk.shop.days, chunk.shop.days + FUTURE_DAYS
    visits = Visits.draw(rng, chunk)
    owned = np.zeros(chunk.before.shape, np.bool_)
    edges = [*range(0, days, 7), *range(days, horizon, 7), horizon]
    orders = []
    for first, end in pairwise(edges):
        orders.append(week_orders(rng, chunk, visits.between(first, end), first, owned))
        owned[orders[-1].user_row - chunk.user_row[0], orders[-1].item_row] = True
    return orders


def week_orders(rng: Generator, chunk: Chunk, visits: Visits, day: int, owned: NDArray[np.bool_]) -> Orders:
    """What is bought during `visits`; `owned` is bool [B, N]. The first arrivals of an exponential race are draws
    without replacement with probabilities in proportion to the rates."""
    row, place = np.unique(visits.row, return_inverse=True)
    count = np.bincount(place, visits.size, len(row)).astype(np.int64)
    appeal = chunk.shop.appeal(day)
    on_sale = np.flatnonzero(np.isfinite(appeal))
    liking = chunk.liking(row, day)[:, on_sale]
    rate = np.exp(liking + appeal[on_sale]) * np.where(owned[row][:, on_sale], AGAIN, np.float32(1))
    arrival = rng.standard_exponential(rate.shape, np.float32) / rate
    first = smallest(arrival, int(count.max(initial=1)))
    bought = np.arange(first.shape[1]) < count[:, None]
    item_row = on_sale[first[bought]]
    user_row = np.repeat(chunk.user_row[row], count)
    liked = np.take_along_axis(liking, first, axis=1)[bought]
    return Orders(user_row, item_row, seconds(rng, visits), ratings(rng, chunk.shop, user_row, item_row, liked))


def seconds(rng: Generator, visits: Visits) -> Ints:
    """When each item of each visit is bought, int64 [E]: visits peak in the evening, their items are minutes apart."""
    start = 3600 * rng.triangular(6, 19.5, 23, len(visits.day))
    begin = visits.day * DAY_SECONDS + start.astype(np.int64)
    position = np.arange(visits.size.sum()) - np.repeat(visits.size.cumsum() - visits.size, visits.size)
    second: Ints = np.repeat(begin, visits.size) + 150 * position + rng.integers(150, size=len(position))
    return second


def ratings(rng: Generator, shop: Shop, user_row: Ints, item_row: Ints, liked: Floats) -> Floats:
    """Whole stars from 1 to 5, float32 [E]: good items, generous customers and true liking get more."""
    mean = 4.1 + shop.customers.generosity[user_row] + 0.3 * shop.catalogue.quality[item_row] + 0.12 * (liked - 3)
    rating: Floats = np.rint(mean + 0.7 * rng.standard_normal(len(mean), np.float32)).clip(1, 5).astype(np.float32)
    return rating


def best_items(shop: Shop, past: Orders, day: int, k: int) -> Ints:
    """The k items that each customer likes best, best first, of those on sale on `day` that are not among their `past`
    purchases. int64 [U, k], and -1 where there are no more."""
    appeal = shop.appeal(day)
    best = []
    for chunk in shop.chunks("finding what each would like best"):
        utility = chunk.liking(np.arange(len(chunk.user_row)), day) + appeal
        mine = np.isin(past.user_row, chunk.user_row)
        utility[past.user_row[mine] - chunk.user_row[0], past.item_row[mine]] = -np.inf
        first = smallest(-utility, k)
        best.append(np.where(np.isfinite(np.take_along_axis(utility, first, axis=1)), first, -1))
    return np.concatenate(best)


def smallest(values: Floats, k: int) -> Ints:
    """The positions of the k smallest values of each row, smallest first: float32 [B, N] -> int64 [B, k]."""
    first = np.argpartition(values, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(values, first, axis=1), axis=1, kind="stable")
    return np.take_along_axis(first, order, axis=1)
