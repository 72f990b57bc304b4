"""The Parquet parts of a run: schema, ids in the type they came in, a range of users in sorted order each."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_jobs.ahead import ahead
from rec_export.data.columns import Int64
from rec_export.data.vocab import Vocab
from rec_export.files import sha256
from rec_export.recs import SCHEMA
from rec_export.run_manifest import SOURCES, PartFile
from rec_export.topk.contract import Listed, TopK

USERS_PER_PART = 50_000
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


def table(lists: Lists, users: Vocab, items: Vocab) -> pa.Table:
    """One row for each user and rank."""
    count = lists.best.count
    owner = np.repeat(np.arange(len(count)), count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    sources = pa.array(SOURCES).take(pa.array(lists.source[owner].astype(np.int64)))
    columns = [
        users.take(lists.user[owner]),
        pa.array((rank + 1).astype(np.int16)),
        items.take(lists.best.item_row[owner, rank]),
        pa.array(lists.best.score[owner, rank].astype(np.float32)),
        sources,
    ]
    return pa.Table.from_arrays(columns, schema=schema(users, items))


def write_part(
    path: Path, blocks: Iterable[Lists], users: Vocab, items: Vocab, k: int, footer: dict[str, str]
) -> PartFile:
    """Write a part block by block, each while the next is made, so that memory stays flat; what is in it, as sums.

    The footer keeps a copied part self-describing.
    """
    rows = short = empty = capped = varied = 0
    sources = np.zeros(len(SOURCES), np.int64)
    columns = schema(users, items)
    repeated = [name for name in columns.names if name != "score"]  # a dictionary of scores costs more than it saves
    with pq.ParquetWriter(
        path, columns, compression="zstd", use_dictionary=repeated, write_page_checksum=True
    ) as writer:
        for lists in ahead(iter(blocks)):
            writer.write_table(table(lists, users, items))
            rows += int(lists.best.count.sum())
            short += int((lists.best.count < k).sum())
            empty += int((lists.best.count == 0).sum())
            capped += int(lists.listed.capped.sum())
            varied += int(lists.listed.varied.sum())
            sources += np.bincount(lists.source, minlength=len(SOURCES))
        told = {"schema": SCHEMA, **footer}
        writer.add_key_value_metadata({f"rec_export.{key}": value for key, value in told.items()})
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
