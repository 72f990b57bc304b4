"""A made-up log of any size: users of very different activity, each with a taste for one group of items."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rec_export.data.columns import Int64

GROUP = 500  # items
OWN = 0.6  # share of a user's rows that is in the user's own group


def write_log(path: Path, rows: int, users: int, items: int, seed: int = 0) -> None:
    """Write user_id, item_id int64; some pairs come twice."""
    rng = np.random.default_rng(seed)
    activity = rng.pareto(1.5, users) + 0.3
    user = np.repeat(np.arange(users), rng.multinomial(rows, activity / activity.sum()))
    groups = max(1, items // GROUP)
    taste = rng.integers(0, groups, users)
    own = ranks(items // groups, rows, rng) * groups + taste[user]
    item = np.where(rng.random(rows) < OWN, own, ranks(items, rows, rng))
    pq.write_table(pa.table({"user_id": user, "item_id": item}), path)


def ranks(items: int, rows: int, rng: np.random.Generator) -> Int64:
    """Draws of 0..items-1, the lower the more often, as in a shop; int64 [rows]."""
    total = np.cumsum((np.arange(items) + 30.0) ** -0.8)
    return np.searchsorted(total, rng.random(rows) * total[-1]).clip(max=items - 1)
