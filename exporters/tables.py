"""Calls that look up every row of every table of a tower: one wrong row would escape rows that are drawn."""

from collections.abc import Iterator

import numpy as np

from exporters.cases import SEED, Arrays, Case, Source
from rec_export.data.columns import Int64

MOST_ROWS = 1 << 18  # of the longest table, up to which all are looked up; of more, as many are drawn
AT_ONCE = 4096
BAG = 40  # tags of a call's row at most


def every_row(source: Source) -> Iterator[Case]:
    """Every id, every value of a category, every tag, and every item in a history; other inputs are as in a batch."""
    ids = [port.name for port in source.inputs if port.dtype == "int64" and port.name != "history_length"]
    counts = {name: np.maximum(source.count(name), 1) for name in ids}
    most = {"history": max(source.history, 1), "tags": BAG}
    calls = max((-(-int(counts[name].max()) // most.get(name, 1)) for name in ids), default=0)
    places = {name: -(-int(counts[name].max()) // calls) for name in ids if name in most}
    whole = calls <= MOST_ROWS
    rows = np.arange(calls) if whole else np.random.default_rng(SEED).choice(calls, MOST_ROWS, replace=False)
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        batch = source.batch(len(some), places.get("history"), places.get("tags"))
        yield Case(f"rows of every table from {start}", batch | looked_up(some, batch, counts, places))


def looked_up(rows: Int64, batch: Arrays, counts: Arrays, places: dict[str, int]) -> Arrays:
    """The integer inputs of a call, so that different rows, int64 [B], look up different rows of each table."""
    found: Arrays = {}
    for name, count in counts.items():
        wide = rows[:, None] * places.get(name, 1) + np.arange(places.get(name, 1))  # [B, places]
        found[name] = (wide[:, 0] if batch[name].ndim == 1 else wide) % count
    if "history_length" in batch:
        found["history_length"] = np.full(len(rows), places.get("history", 0))
    return found
