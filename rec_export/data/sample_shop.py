"""A made-up shop with a known answer: what it sells, who its customers are, what they like, and so what they buy.

The utility of an item is `Chunk.liking` (a customer's taste, slowly drifting) + `Shop.appeal` (what everybody sees:
quality, novelty, fashion, season), and purchases are draws from exp(utility) without replacement. Days count from the
first day of the log. U customers, N items, B customers of a chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self, final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rec_export.data.sample_words import AGE_GROUPS, BRANDS, CATEGORIES, COUNTRIES, STYLES
from rec_export.progress import track

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

FUTURE_DAYS = 30
YEAR_DAYS = 365.25
TRIBES = 10
TRIBAL, OWN = np.sqrt(np.array([0.7, 0.3], np.float32))
CHUNK_PAIRS = 8_000_000
"""Pairs of customer and item that are held at a time: this bounds the memory, whatever the size of the shop."""


@final
@dataclass(frozen=True)
class Catalogue:
    """The items; int64 [N] and float32 [N]. `released` may lie before the log or after its end."""

    category: Ints
    brand: Ints
    style: Ints
    price_level: Floats
    quality: Floats
    released: Ints
    novelty: Floats
    wave_day: Floats
    wave: Floats

    @classmethod
    def draw(cls, rng: Generator, items: int, days: int) -> Self:
        """Items of which seven in ten are old, and some come out after the log's last day."""
        category = rng.integers(len(CATEGORIES), size=items)
        shelf = np.stack([rng.permutation(len(BRANDS))[:8] for _ in CATEGORIES])
        place = np.minimum(rng.geometric(0.25, size=items) - 1, shelf.shape[1] - 1)
        new = rng.permutation(items) < 0.3 * items
        return cls(
            category=category,
            brand=shelf[category, place],
            style=rng.integers(len(STYLES), size=items),
            price_level=rng.standard_normal(items, np.float32),
            quality=0.6 * rng.standard_normal(items, np.float32),
            released=np.where(new, rng.integers(1, days + FUTURE_DAYS, items), -rng.integers(1, 900, items)),
            novelty=rng.gamma(6.0, 0.2, items).astype(np.float32),
            wave_day=rng.uniform(-60, days + 90, items).astype(np.float32),
            wave=rng.uniform(0, 1.8, items).astype(np.float32),
        )

    def appeal(self, day: int, day_of_year: int) -> Floats:
        """What every customer sees in the items on `day`, float32 [N]; -inf for those that are not out yet."""
        peak = np.array([category.peak for category in CATEGORIES])
        phase = np.cos(2 * np.pi * (day_of_year / YEAR_DAYS - (peak - 0.5) / 12))
        season = np.where(peak > 0, 0.8 * phase, 0.0)[self.category]
        novelty = self.novelty * np.exp(-np.maximum(day - self.released, 0) / 40)
        fashion = self.wave * np.exp(-(((day - self.wave_day) / 35) ** 2))
        appeal = np.where(self.released <= day, self.quality + season + novelty + fashion, -np.inf)
        return appeal.astype(np.float32)


class Taste(NamedTuple):
    """What customers think of categories [U, 24], brands [U, 60] and hidden styles [U, 12], float32."""

    category: Floats
    brand: Floats
    style: Floats

    @classmethod
    def draw(cls, rng: Generator, tribe: Ints) -> Self:
        """Most of a taste is the tribe's, so that customers can be learned from one another; tribes differ around a
        common mean, so that what is liked by all is not a matter of taste."""
        shared = [rng.standard_normal((TRIBES, n), np.float32) for n in (len(CATEGORIES), len(BRANDS), len(STYLES))]
        shared = [table - table.mean(axis=0) for table in shared]
        own = [rng.standard_normal((len(tribe), table.shape[1]), np.float32) for table in shared]
        return cls(*(TRIBAL * table[tribe] + OWN * mine for table, mine in zip(shared, own, strict=True)))

    def of(self, user_row: Ints, catalogue: Catalogue) -> Floats:
        """The liking of every item, float32 [B, N]; looked up, not multiplied: the same with any number of threads."""
        liking: Floats = 1.8 * self.category[user_row][:, catalogue.category]
        liking += 1.2 * self.brand[user_row][:, catalogue.brand]
        liking += 1.2 * self.style[user_row][:, catalogue.style]
        return liking


@final
@dataclass(frozen=True)
class Customers:
    """The customers; int64 [U] and float32 [U]. Who `joined` after the log's last day is new in the future."""

    country: Ints
    age_group: Ints
    joined: Ints
    left: Ints
    visits_per_day: Floats
    generosity: Floats
    price_level: Floats
    before: Taste
    after: Taste

    @classmethod
    def draw(cls, rng: Generator, users: int, items: int, days: int) -> Self:
        """Customers of heavy-tailed activity. Age has a weak say in the tribe, and country in the categories."""
        age_group = rng.choice(len(AGE_GROUPS), users, p=(0.15, 0.3, 0.3, 0.17, 0.08))
        tribe_of_age = 0.5 / TRIBES + 0.5 * rng.dirichlet(np.ones(TRIBES), len(AGE_GROUPS))
        tribe = (tribe_of_age.cumsum(axis=1)[age_group] < rng.random((users, 1))).sum(axis=1).clip(max=TRIBES - 1)
        country = rng.choice(len(COUNTRIES), users, p=(0.28, 0.17, 0.16, 0.1, 0.09, 0.08, 0.07, 0.05))
        custom = 0.4 * rng.standard_normal((len(COUNTRIES), len(CATEGORIES)), np.float32)
        before, after = Taste.draw(rng, tribe), Taste.draw(rng, rng.permutation(tribe))
        joined = np.where(rng.random(users) < 0.5, 0, rng.integers(days + FUTURE_DAYS, size=users))
        pace = np.minimum(rng.lognormal(-0.5, 1.0, users), 12)
        return cls(
            country=country,
            age_group=age_group,
            joined=joined,
            left=joined + rng.exponential(900, users).astype(np.int64),
            visits_per_day=(min(0.065, items / 1500) * pace).astype(np.float32),
            generosity=0.4 * rng.standard_normal(users, np.float32),
            price_level=0.8 * rng.standard_normal(users, np.float32),
            before=before._replace(category=before.category + custom[country]),
            after=after._replace(category=after.category + custom[country]),
        )


@final
@dataclass(frozen=True)
class Shop:
    """Everything that is decided before the first purchase."""

    catalogue: Catalogue
    customers: Customers
    days: int
    first_day_of_year: int
    first_weekday: int

    def appeal(self, day: int) -> Floats:
        """`Catalogue.appeal` by the shop's calendar, float32 [N]."""
        return self.catalogue.appeal(day, self.first_day_of_year + day)

    def chunks(self, what: str) -> Iterator["Chunk"]:
        """The customers in pieces that fit in memory, for a step that is called so."""
        users, items = len(self.customers.joined), len(self.catalogue.category)
        step = max(1, CHUNK_PAIRS // items)
        firsts = range(0, users, step)
        for first in track(firsts, len(firsts), what, logged=False):
            yield Chunk.of(self, np.arange(first, min(first + step, users)))


@final
@dataclass(frozen=True)
class Chunk:
    """What some customers think of every item at the first and at the last moment, float32 [B, N]."""

    shop: Shop
    user_row: Ints
    before: Floats
    after: Floats
    thrift: Floats

    @classmethod
    def of(cls, shop: Shop, user_row: Ints) -> Self:
        """The planted tables of the customers `user_row`, int64 [B]."""
        customers, catalogue = shop.customers, shop.catalogue
        gap = customers.price_level[user_row, None] - catalogue.price_level
        return cls(
            shop=shop,
            user_row=user_row,
            before=customers.before.of(user_row, catalogue),
            after=customers.after.of(user_row, catalogue),
            thrift=np.float32(-0.35) * np.minimum(gap * gap, np.float32(6)),
        )

    def liking(self, row: Ints, day: int) -> Floats:
        """The taste of the chunk's customers `row` on `day`, float32 [b, N]: it turns from `before` towards `after`."""
        turn = np.float32(np.pi / 3 * day / (self.shop.days + FUTURE_DAYS))
        liking: Floats = np.cos(turn) * self.before[row] + np.sin(turn) * self.after[row] + self.thrift[row]
        return liking
