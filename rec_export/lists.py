"""A few lists as a person reads them: what a user had, and what the user gets, by title."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from rec_export.data.columns import Int64
from rec_export.data.config import DataConfig
from rec_export.data.log import Events
from rec_export.data.source import Source
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import shorten
from rec_export.words import printable

SHOWN = 2  # users
HAD, GETS = 3, 3  # items


def show_lists(run: Path, source: Source, data: DataConfig) -> Iterator[str]:
    """Two users with a middling history."""
    events = source.events
    counts = events.user_id.counts()
    there = np.flatnonzero(counts)
    for place in there[np.argsort(np.abs(counts[there] - 8), kind="stable")[:SHOWN]]:
        user = events.user_id.ids[int(place)]
        had = events.item_id.ids.take(pa.array(events.item_id.code[newest_liked(events, int(place))]))
        best = ds.dataset(run, format="parquet").to_table(filter=pc.field("user_id") == user).sort_by("rank")
        gets = best["item_id"].combine_chunks()[:GETS]
        yield f"Look      {plain(user)}" + (f" ({best['source'][0]})" if len(gets) else "")
        yield f"          had:  {'; '.join(titles(had, source, data))}"
        yield f"          gets: {'; '.join(titles(gets, source, data)) or 'nothing, as nothing is left that is new'}"


def newest_liked(events: Events, user: int) -> Int64:
    """The rows of what the user with this code liked last, the newest last and no item twice."""
    rows = np.flatnonzero((events.user_id.code == user) & events.positive)
    order = rows if events.time is None else rows[np.argsort(events.time[rows], kind="stable")]
    last = len(order) - 1 - np.unique(events.item_id.code[order][::-1], return_index=True)[1]
    return order[np.sort(last)[-HAD:]]


def plain(text: object) -> str:
    """A text on one short line: an id may hold line ends, a terminal's commands, and 10 kB."""
    return shorten(printable(text), 48)


def titles(items: pa.Array, source: Source, data: DataConfig) -> list[str]:
    """The titles of items, or their ids where there are none."""
    ids = [plain(item) for item in items.to_pylist()]
    if source.items is None or data.items is None or not data.items.text:
        return ids
    rows = Vocab(source.items.column(0).combine_chunks()).rows(items)
    names = source.items[data.items.text[0]]
    return [
        plain(names[int(row)].as_py()) if row != UNKNOWN and names[int(row)].is_valid else own
        for row, own in zip(rows, ids, strict=True)
    ]
