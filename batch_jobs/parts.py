"""The Parquet parts of a run: schema, ids in the type they came in, a range of users in sorted order each."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_jobs.ahead import ahead
from batch_jobs.rows import Rows
from rec_export.data.columns import Bool, Int64
from rec_export.data.vocab import Vocab
from rec_export.files import sha256
from rec_export.recs import SCHEMA
from rec_export.run_manifest import SOURCES, PartFile
from rec_export.topk.contract import Listed, TopK, portions

USERS_PER_PART = 50_000
ROWS_AT_ONCE = 1 << 20  # of a row group, about
PLACES = {"user_id": pa.int32(), "item_id": pa.int32(), "source": pa.int8()}  # of texts, in columns that may hold them
ARROW_SCHEMA = "ARROW:schema"  # where Arrow looks for the types of columns that Parquet cannot tell apart
WRITTEN: dict[str, Any] = {
    "compression": {"user_id": "zstd", "rank": "zstd", "item_id": "zstd", "score": "none", "source": "zstd"},
    "write_page_checksum": True,
    "write_statistics": ["user_id"],  # of the others a part holds nearly all values, so no reader could leave one out
    "store_schema": False,  # the columns are stored as they are for readers, not as they are handed to Parquet
}
MODEL, COLD, FALLBACK = range(3)  # trained on; new, known by history or attributes; nothing known, so what is popular


class Shard(NamedTuple):
    """One part: the users first..stop-1 in sorted order. The plan depends on the number of users alone."""

    number: int
    of: int
    first: int
    stop: int

    def name(self, run_id: str) -> str:
        """The file name, known before anything is scored."""
        return f"part-{self.number:05d}-of-{self.of:05d}-{run_id}.parquet"


def shards_of(users: int) -> list[Shard]:
    """The shards of a run."""
    count = max(1, -(-users // USERS_PER_PART))
    edges = np.linspace(0, users, count + 1).astype(int)
    return [Shard(i, count, int(edges[i]), int(edges[i + 1])) for i in range(count)]


class Lists(NamedTuple):
    """The lists of some users, and where each came from."""

    user: Int64  # [B] rows of the user vocabulary
    listed: Listed
    source: npt.NDArray[np.int8]  # [B] a place in SOURCES

    @property
    def best(self) -> TopK:
        """The items of each list."""
        return self.listed.top


def schema(users: Vocab, items: Vocab) -> pa.Schema:
    """The columns of a part, sorted by user and then rank."""
    return pa.schema([
        pa.field("user_id", users.ids.type, nullable=False),
        pa.field("rank", pa.int16(), nullable=False),
        pa.field("item_id", items.ids.type, nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ])  # fmt: skip


def stored(columns: pa.Schema) -> pa.Schema:
    """The same columns as they are handed to Parquet: a row group names its texts once, and rows say which."""
    return pa.schema([
        field.with_type(pa.dictionary(PLACES[field.name], field.type))
        if field.name in PLACES and not pa.types.is_integer(field.type)
        else field
        for field in columns
    ])  # fmt: skip


def row_groups(blocks: Iterable[Lists], most: int) -> Iterator[list[Lists]]:
    """Lists put together to about `most` rows: small row groups cost more, and Arrow would end one within a list.

    Places that hold no item count too, as they take the same memory.
    """
    held, places = list[Lists](), 0
    for lists in blocks:
        for some in whole_lists(lists, most):
            size = some.best.item_row.size
            if held and places + size > most:
                yield held
                held, places = [], 0
            held.append(some)
            places += size
    if held:
        yield held


def whole_lists(lists: Lists, most: int) -> Iterator[Lists]:
    """The lists of users in portions of about `most` rows."""
    best, listed = lists.listed.top, lists.listed
    if best.item_row.size <= most:
        yield lists
        return
    for user in portions(best.count, most):
        some = slice(user[0], user[-1] + 1)
        top = TopK(best.item_row[some], best.score[some], best.count[some])
        yield Lists(lists.user[some], Listed(top, listed.capped[some], listed.varied[some]), lists.source[some])


def table(group: list[Lists], users: Vocab, items: Vocab) -> pa.Table:
    """One row for each user and rank, as `stored`. Ids that are numbers are laid out as such, text as places in it."""
    lists, source = [one.best for one in group], np.concatenate([one.source for one in group])
    user, item = users.take(np.concatenate([one.user for one in group])), items.ids
    user_number = numbers(user) if is_number(user) else np.arange(len(user))
    if is_number(item):
        item_number = numbers(item)
    else:
        used = there(lists, len(items))
        item, item_number = items.take(np.flatnonzero(used)), np.cumsum(used) - 1
    rows = Rows.of(lists, source, user_number, item_number)
    source_id = pa.DictionaryArray.from_arrays(rows.source, pa.array(SOURCES))
    columns = [named(rows.user, user), pa.array(rows.rank), named(rows.item, item), pa.array(rows.score), source_id]
    return pa.Table.from_arrays(columns, schema=stored(schema(users, items)))


def is_number(ids: pa.Array) -> bool:
    """Whether ids are numbers, else they are text."""
    return bool(pa.types.is_integer(ids.type))


def numbers(ids: pa.Array) -> Int64:
    """Ids that are numbers."""
    return ids.cast(pa.int64()).to_numpy()


def there(lists: list[TopK], items: int) -> Bool:
    """Which items stand in a list, bool [items]."""
    used = np.zeros(items + 1, np.bool_)  # the last for places without an item, -1
    for top in lists:
        used[top.item_row] = True
    return used[:-1]


def named(number: Int64, ids: pa.Array) -> pa.Array:
    """Numbers as the ids that they are, or, of text, the places of."""
    if is_number(ids):
        return pa.array(number).cast(ids.type)
    return pa.DictionaryArray.from_arrays(number.astype(np.int32), ids)


def named_once(columns: pa.Schema) -> list[str]:
    """The columns whose values are stored once a block. Runs of numbers, as of users and ranks, zstd alone makes as
    small, several times as fast."""
    return [field.name for field in stored(columns) if field.name == "item_id" or pa.types.is_dictionary(field.type)]


@final
class Sums:
    """What is counted of lists of at most k items as they pass on to be written."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.rows = self.short = self.empty = self.capped = self.varied = 0
        self.sources = np.zeros(len(SOURCES), np.int64)

    def passing(self, blocks: Iterable[Lists]) -> Iterator[Lists]:
        """The same blocks."""
        for lists in blocks:
            count = lists.best.count
            self.rows += int(count.sum())
            self.short += int((count < self.k).sum())
            self.empty += int((count == 0).sum())
            self.capped += int(lists.listed.capped.sum())
            self.varied += int(lists.listed.varied.sum())
            self.sources += np.bincount(lists.source, minlength=len(SOURCES))
            yield lists

    def told(self, path: Path) -> PartFile:
        """Of the part that was written at `path`."""
        return PartFile(
            name=path.name,
            users=dict(zip(SOURCES, self.sources.tolist(), strict=True)),
            short_lists=self.short,
            empty_lists=self.empty,
            rows=self.rows,
            bytes=path.stat().st_size,
            sha256=sha256(path),
            capped=self.capped,
            varied=self.varied,
        )


def write_part(
    path: Path, blocks: Iterable[Lists], users: Vocab, items: Vocab, k: int, footer: dict[str, str]
) -> PartFile:
    """Write a part block by block, each while the next is made, so that memory stays flat; what is in it, as sums.

    The footer keeps a copied part self-describing.
    """
    sums, columns = Sums(k), schema(users, items)
    with pq.ParquetWriter(path, stored(columns), use_dictionary=named_once(columns), **WRITTEN) as writer:
        for group in row_groups(sums.passing(ahead(iter(blocks))), ROWS_AT_ONCE):
            rows = table(group, users, items)
            writer.write_table(rows, row_group_size=max(len(rows), 1))
        told = {f"rec_export.{key}": value for key, value in {"schema": SCHEMA, **footer}.items()}
        writer.add_key_value_metadata({**told, ARROW_SCHEMA: base64.b64encode(columns.serialize()).decode()})
    return sums.told(path)
