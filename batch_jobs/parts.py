"""The Parquet parts of a run: schema, ids in the type they came in, a range of users in sorted order each."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_jobs.ahead import ahead
from rec_export.data.columns import Bool, Int32, Int64
from rec_export.data.vocab import Vocab
from rec_export.files import sha256
from rec_export.recs import SCHEMA
from rec_export.run_manifest import SOURCES, PartFile
from rec_export.topk.contract import Listed, TopK, portions

USERS_PER_PART = 50_000
ROWS_AT_ONCE = 1 << 20  # of a row group, about
T = TypeVar("T", bound=np.generic)
TEXT = "user_id", "item_id", "source"  # columns that may be text
ARROW_SCHEMA = "ARROW:schema"  # where Arrow looks for the types of columns that Parquet cannot tell apart
WRITTEN: dict[str, Any] = {
    "compression": "zstd",
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
    """The same columns as they are handed to Parquet: of text each block names its own once, and rows say which."""
    kinds = [kind if pa.types.is_integer(kind) else pa.dictionary(pa.int32(), kind) for kind in columns.types]
    return pa.schema([
        field.with_type(kind) if field.name in TEXT else field for field, kind in zip(columns, kinds, strict=True)
    ])  # fmt: skip


def whole_lists(lists: Lists, most: int) -> Iterator[Lists]:
    """The lists of users in portions of about `most` rows: Arrow would end a row group within a list."""
    best, listed = lists.listed.top, lists.listed
    for user in portions(best.count, most):
        some = slice(user[0], user[-1] + 1)
        top = TopK(best.item_row[some], best.score[some], best.count[some])
        yield Lists(lists.user[some], Listed(top, listed.capped[some], listed.varied[some]), lists.source[some])


def table(lists: Lists, users: Vocab, items: Vocab) -> pa.Table:
    """One row for each user and rank, as `stored`."""
    best = lists.best
    rank = np.broadcast_to(np.arange(1, best.item_row.shape[1] + 1, dtype=np.int16), best.item_row.shape)
    listed = rank <= best.count[:, None]
    owner, row = np.repeat(np.arange(len(best.count), dtype=np.int32), best.count), there(best.item_row, listed)
    columns = [
        picked(users.take(lists.user), owner),
        pa.array(there(rank, listed)),
        picked(items.ids, row) if pa.types.is_integer(items.ids.type) else once(items, row),
        pa.array(there(best.score, listed).astype(np.float32)),
        picked(pa.array(SOURCES), lists.source.astype(np.int32)[owner]),
    ]
    return pa.Table.from_arrays(columns, schema=stored(schema(users, items)))


def there(value: npt.NDArray[T], listed: Bool) -> npt.NDArray[T]:
    """The values of places that are listed, [B, K] both, one list after another."""
    return value.ravel() if listed.all() else value[listed]


def picked(ids: pa.Array, place: Int32 | Int64) -> pa.Array:
    """The ids at some places; text is not written out."""
    return ids.take(pa.array(place)) if pa.types.is_integer(ids.type) else pa.DictionaryArray.from_arrays(place, ids)


def once(vocab: Vocab, row: Int64) -> pa.DictionaryArray:
    """The ids of rows, with no other ids in the dictionary."""
    used = np.zeros(len(vocab), np.bool_)
    used[row] = True
    place = np.cumsum(used, dtype=np.int32) - 1
    return pa.DictionaryArray.from_arrays(place[row], vocab.take(np.flatnonzero(used)))


def named_once(columns: pa.Schema) -> list[str]:
    """The columns whose values are stored once a block. Runs of numbers, as of users and ranks, zstd alone makes as
    small, several times as fast."""
    return [field.name for field in stored(columns) if field.name == "item_id" or pa.types.is_dictionary(field.type)]


def write_part(
    path: Path, blocks: Iterable[Lists], users: Vocab, items: Vocab, k: int, footer: dict[str, str]
) -> PartFile:
    """Write a part block by block, each while the next is made, so that memory stays flat; what is in it, as sums.

    The footer keeps a copied part self-describing.
    """
    rows = short = empty = capped = varied = 0
    sources = np.zeros(len(SOURCES), np.int64)
    columns = schema(users, items)
    with pq.ParquetWriter(path, stored(columns), use_dictionary=named_once(columns), **WRITTEN) as writer:
        for lists in ahead(iter(blocks)):
            for some in whole_lists(lists, ROWS_AT_ONCE):
                group = table(some, users, items)
                writer.write_table(group, row_group_size=max(len(group), 1))
            rows += int(lists.best.count.sum())
            short += int((lists.best.count < k).sum())
            empty += int((lists.best.count == 0).sum())
            capped += int(lists.listed.capped.sum())
            varied += int(lists.listed.varied.sum())
            sources += np.bincount(lists.source, minlength=len(SOURCES))
        told = {f"rec_export.{key}": value for key, value in {"schema": SCHEMA, **footer}.items()}
        writer.add_key_value_metadata({**told, ARROW_SCHEMA: base64.b64encode(columns.serialize()).decode()})
    return PartFile(
        name=path.name,
        users=dict(zip(SOURCES, sources.tolist(), strict=True)),
        short_lists=short,
        empty_lists=empty,
        rows=rows,
        bytes=path.stat().st_size,
        sha256=sha256(path),
        capped=capped,
        varied=varied,
    )
