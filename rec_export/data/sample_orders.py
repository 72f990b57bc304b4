"""The purchases in a made-up shop, day by day, and what each customer would like best at the end of the log."""

from dataclasses import dataclass
from typing import NamedTuple, Self, final

import numpy as np
from numpy.random import Generator

from rec_export.data.sample_shop import AGAIN, FUTURE_DAYS, Chunk, Floats, Ints, Shop

DAY_SECONDS = 86_400
WEEKDAY = np.array([0.9, 0.8, 0.85, 0.95, 1.1, 1.35, 1.2], np.float32)
"""How busy the shop is from Monday to Sunday."""


class Orders(NamedTuple):
    """One row a purchase; `second` counts from the first midnight of the log. int64 [E], rating float32 [E]."""

    user_row: Ints
    item_row: Ints
    second: Ints
    rating: Floats

    @classmethod
    def draw(cls, rng: Generator, shop: Shop) -> Self:
        """All purchases of the log and of the days after it, in the order of time."""
        parts = [part for chunk in shop.chunks() for part in chunk_orders(rng, chunk)]
        whole = cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        return whole.take(np.lexsort((whole.user_row, whole.second)))

    def take(self, chosen: Ints) -> Self:
        """The rows `chosen`: int64 positions or a boolean mask."""
        return self._replace(**{name: column[chosen] for name, column in self._asdict().items()})


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
        shop = chunk.shop
        customers = shop.customers
        day = np.arange(shop.days + FUTURE_DAYS)
        joined, left = customers.joined[chunk.user_row, None], customers.left[chunk.user_row, None]
        pace = customers.visits_per_day[chunk.user_row, None] * WEEKDAY[(shop.first_weekday + day) % 7]
        come = rng.random(pace.shape, np.float32) < np.where((joined <= day) & (day <= left), pace, 0)
        row, visit_day = np.nonzero(come)
        # Seven visits of this size still fit in the catalogue.
        largest = len(shop.catalogue.category) // 8
        return cls(row, visit_day, np.minimum(1 + rng.poisson(1.2, len(row)), largest))

    def between(self, first: int, end: int) -> "Visits":
        """The visits from the day `first` to the day before `end`."""
        here = (self.day >= first) & (self.day < end)
        return Visits(self.row[here], self.day[here], self.size[here])


def chunk_orders(rng: Generator, chunk: Chunk) -> list[Orders]:
    """The purchases of a chunk of customers, week by week: taste and appeal hold still within a week."""
    days, horizon = chunk.shop.days, chunk.shop.days + FUTURE_DAYS
    visits = Visits.draw(rng, chunk)
    owned = np.zeros(chunk.before.shape, np.bool_)
    edges = [*range(0, days, 7), *range(days, horizon, 7), horizon]
    return [
        week_orders(rng, chunk, visits.between(first, end), first, owned)
        for first, end in zip(edges, edges[1:], strict=False)
    ]


def week_orders(rng: Generator, chunk: Chunk, visits: Visits, day: int, owned: NDBools) -> Orders:
    """Draw the items of `visits` by an exponential race, and mark them in `owned`, bool [B, N]."""
    row, place = np.unique(visits.row, return_inverse=True)
    count = np.bincount(place, weights=visits.size, minlength=len(row)).astype(np.int64)
    liking = chunk.liking(row, day)
    weight = np.exp(liking + chunk.shop.appeal(day)) * np.where(owned[row], np.float32(AGAIN), np.float32(1))
    with np.errstate(divide="ignore"):
        arrival = rng.standard_exponential(weight.shape, np.float32) / weight
    ...
