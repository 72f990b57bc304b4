"""A made-up shop to try rec-export on: five tables, a configuration, and the true answer to compare with."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator

from rec_export.data.sample_orders import Orders, best_items
from rec_export.data.sample_shop import Catalogue, Customers, Ints, Shop
from rec_export.data.sample_words import AGE_GROUPS, BRANDS, CATEGORIES, COUNTRIES, PATTERNS, STYLES, TAGS
from rec_export.errors import UsageError
from rec_export.files import new_directory
from rec_export.record import Record

LAST_DAY = date(2026, 10, 31)
"""Of the log. Fixed, so that the files depend on nothing but the arguments."""
TRUE_ITEMS = 10
LEAST = {"users": 50, "items": 40, "days": 30}

CONFIG = """\
# A made-up shop. Paths are relative to this file; every key that is not here has its default.
data:
  interactions:
    path: interactions.parquet
    user: user_id
    item: item_id
    time: timestamp  # seconds since 1970, UTC
    value: rating
    positive: 4      # fewer stars: the customer has seen the item, but did not like it
  items:
    path: items.parquet
    id: item_id
    dense: [price]
    category: [brand, category]
    tags: [tags]
    text: [title]
  users:
    path: users.parquet
    id: user_id
    category: [country, age_group]
  split: {by: time, valid: 0.1, test: 0.1}  # the last tenth of the log is the test
model: {name: hybrid}
score: {k: 20}
nightly: {bundle: ../bundle, out: ../recs}  # for `rec-export nightly`, once the model is exported
"""

README = """\
A made-up shop: interactions.parquet (the log, to 31 October 2026), items.parquet and users.parquet.
future.parquet is what was bought in the 30 days after the log, new customers and new items included: the known answer.
truth.parquet holds the ten items that each customer would truly like best when the log ends, of those not bought yet.
Next:    rec-export train config.yaml --out checkpoint
or:      rec-export run interactions.parquet --items items.parquet --users users.parquet -o out
"""


class SampleSummary(Record):
    """What was written."""

    users: int
    items: int
    interactions: int
    future_interactions: int
    new_users: int
    new_items: int
    first_day: date
    last_day: date


def write_sample(out: Path, seed: int, users: int, items: int, days: int) -> SampleSummary:
    """Write the new directory `out`. Equal arguments give equal bytes, whatever the day."""
    for name, value in (("users", users), ("items", items), ("days", days)):
        if value < LEAST[name]:
            raise UsageError(f"a sample of {value} {name} is too small to learn from; ask for {LEAST[name]} or more")
    rng = np.random.default_rng(seed)
    first_day = LAST_DAY - timedelta(days=days - 1)
    shop = Shop(
        catalogue=Catalogue.draw(rng, items, days),
        customers=Customers.draw(rng, users, items, days),
        days=days,
        first_day_of_year=first_day.timetuple().tm_yday,
        first_weekday=first_day.weekday(),
    )
    orders = Orders.draw(rng, shop)
    log, future = orders.before(days), orders.since(days)
    user_id, item_id = ids("u{:05d}", users), ids("SKU-{:05d}", items)
    with new_directory(out) as directory:
        write_table(directory / "interactions.parquet", log_columns(log, user_id, item_id, first_day))
        write_table(directory / "future.parquet", log_columns(future, user_id, item_id, first_day))
        write_table(directory / "items.parquet", {"item_id": item_id, **item_columns(rng, shop.catalogue, first_day)})
        write_table(directory / "users.parquet", {"user_id": user_id, **user_columns(shop.customers)})
        write_table(
            directory / "truth.parquet", truth_columns(best_items(shop, log, days - 1, TRUE_ITEMS), user_id, item_id)
        )
        (directory / "config.yaml").write_text(CONFIG, encoding="utf-8")
        (directory / "README.txt").write_text(README, encoding="utf-8")
    return SampleSummary(
        users=users,
        items=items,
        interactions=len(log.second),
        future_interactions=len(future.second),
        new_users=len(np.setdiff1d(future.user_row, log.user_row)),
        new_items=len(np.setdiff1d(future.item_row, log.item_row)),
        first_day=first_day,
        last_day=LAST_DAY,
    )


def write_table(path: Path, columns: Mapping[str, pa.Array]) -> None:
    """Write one Parquet file."""
    pq.write_table(pa.table(dict(columns)), path, compression="zstd", write_page_checksum=True)


def ids(pattern: str, count: int) -> pa.Array:
    """string [count]."""
    return pa.array([pattern.format(row) for row in range(count)])


def log_columns(orders: Orders, user_id: pa.Array, item_id: pa.Array, first_day: date) -> dict[str, pa.Array]:
    """The columns of interactions.parquet and of future.parquet."""
    midnight = int(datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC).timestamp())
    return {
        "user_id": user_id.take(pa.array(orders.user_row)),
        "item_id": item_id.take(pa.array(orders.item_row)),
        "timestamp": pa.array(midnight + orders.second),
        "rating": pa.array(orders.rating),
    }


def user_columns(customers: Customers) -> dict[str, pa.Array]:
    """What the shop knows of its customers."""
    return {
        "country": pa.array(COUNTRIES).take(pa.array(customers.country)),
        "age_group": pa.array(AGE_GROUPS).take(pa.array(customers.age_group)),
    }


def truth_columns(best: Ints, user_id: pa.Array, item_id: pa.Array) -> dict[str, pa.Array]:
    """One row a customer and rank, from what `best_items` found."""
    user_row, position = np.nonzero(best >= 0)
    return {
        "user_id": user_id.take(pa.array(user_row)),
        "rank": pa.array((position + 1).astype(np.int16)),
        "item_id": item_id.take(pa.array(best[user_row, position])),
    }


def item_columns(rng: Generator, catalogue: Catalogue, first_day: date) -> dict[str, pa.Array]:
    """What the shop knows of its items, gaps included."""
    items = len(catalogue.category)
    usual = np.array([category.price for category in CATEGORIES])[catalogue.category]
    price = np.round(usual * np.exp(0.5 * catalogue.price_level.astype(np.float64)), 2)
    released = np.datetime64(first_day) + catalogue.released
    return {
        "title": pa.array(titles(rng, catalogue)),
        "brand": pa.array(BRANDS).take(pa.array(catalogue.brand)),
        "category": pa.array([category.name for category in CATEGORIES]).take(pa.array(catalogue.category)),
        "tags": pa.array(tags(rng, catalogue), pa.list_(pa.string())),
        "price": pa.array(price, mask=rng.random(items) < 0.08),
        "released": pa.array(released.astype("datetime64[D]"), mask=rng.random(items) < 0.1),
    }


def tags(rng: Generator, catalogue: Catalogue) -> list[list[str]]:
    """None to five tags an item; four in five tell of its style, the others mislead."""
    items = len(catalogue.style)
    per_style = len(TAGS) // len(STYLES)
    telling = catalogue.style[:, None] * per_style + rng.integers(per_style, size=(items, 5))
    tag = np.where(rng.random((items, 5)) < 0.8, telling, rng.integers(len(TAGS), size=(items, 5)))
    drawn = rng.integers(6, size=items)
    return [list(dict.fromkeys(TAGS[t] for t in row[:n])) for row, n in zip(tag, drawn, strict=True)]


def titles(rng: Generator, catalogue: Catalogue) -> list[str]:
    """One title an item. Two items may have the same words, as in real shops."""
    # Larger than any list of words; `%` then picks one.
    draws = rng.integers(1_000_000, size=(len(catalogue.category), 5)).tolist()
    written = []
    for category_row, brand, style, draw in zip(
        catalogue.category, catalogue.brand, catalogue.style, draws, strict=True
    ):
        category, adjectives = CATEGORIES[category_row], STYLES[style].adjectives
        pattern, adjective, material, noun, model = draw
        written.append(
            PATTERNS[pattern % len(PATTERNS)].format(
                brand=BRANDS[brand],
                adjective=adjectives[adjective % len(adjectives)],
                material=category.materials[material % len(category.materials)],
                noun=category.nouns[noun % len(category.nouns)],
                model=f"{'ABCDEFGHKLMNPRSTVX'[model % 18]}{model % 90 + 10}0",
            )
        )
    return written
