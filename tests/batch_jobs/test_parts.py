"""A part holds its lists in the types that ids came in, however they are stored, and other programs read the same."""

from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_jobs.audit import Evidence, hashes, one_in
from batch_jobs.part_lists import placed
from batch_jobs.parts import MODEL, Lists, row_groups, write_part
from rec_export.data.columns import Int64
from rec_export.data.vocab import Vocab
from rec_export.errors import DataError
from rec_export.run_manifest import SOURCES
from rec_export.topk.contract import Listed, TopK

TYPES = [pa.int64(), pa.int32(), pa.uint16(), pa.string(), pa.large_string()]
ITEMS = 9


def ids(kind: pa.DataType, size: int, width: int = 4) -> pa.Array:
    """Sorted ids of a type."""
    return pa.array([f"{place:0{width}d}" for place in range(size)]).cast(kind)


def block(user: Int64, count: list[int], k: int = 3) -> Lists:
    """Lists of users, so many items in each, the source of all of them but the last being the model."""
    item = (user[:, None] * 2 + np.arange(k)) % ITEMS
    score = np.float64(5) - np.arange(k) + user[:, None]
    source = np.array([MODEL] * (len(user) - 1) + [2], np.int8)
    top = TopK(item, score, np.array(count))
    return Lists(user, Listed(top, np.zeros(len(user), np.int64), np.zeros(len(user), np.int64)), source)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_rows_are_those_of_the_lists_in_the_types_of_the_ids_for_every_reader(
    kind: pa.DataType, tmp_path: Path
) -> None:
    users, items, path = Vocab(ids(kind, 5)), Vocab(ids(kind, ITEMS)), tmp_path / "part.parquet"
    blocks = [block(np.array([0, 1, 2]), [3, 3, 3]), block(np.array([3, 4]), [0, 2])]
    write_part(path, blocks, users, items, 3, {"part": "0 of 1"})
    rows = [
        (
            user,
            rank + 1,
            int(lists.best.item_row[place, rank]),
            float(lists.best.score[place, rank]),
            lists.source[place],
        )
        for lists in blocks
        for place, user in enumerate(lists.user)
        for rank in range(lists.best.count[place])
    ]
    user, rank, item, score, source = zip(*rows, strict=True)
    want = pa.table(
        {
            "user_id": users.take(np.array(user)),
            "rank": pa.array(rank, pa.int16()),
            "item_id": items.take(np.array(item)),
            "score": pa.array(score, pa.float32()),
            "source": pa.array([SOURCES[place] for place in source]),
        }
    )
    found = pq.ParquetFile(path).read()
    assert found.schema.types == want.schema.types
    assert found.to_pylist() == want.to_pylist()
    assert duckdb.read_parquet(str(path)).fetchall() == [tuple(row.values()) for row in want.to_pylist()]
    assert pl.read_parquet(path).rows() == [tuple(row.values()) for row in want.to_pylist()]


def test_a_dictionary_beyond_parquets_limit_loses_nothing(tmp_path: Path) -> None:
    users, items = Vocab(ids(pa.string(), 4, 600_000)), Vocab(ids(pa.string(), ITEMS, 400_000))
    write_part(tmp_path / "part.parquet", [block(np.arange(4), [3] * 4)], users, items, 3, {})
    found = pq.ParquetFile(tmp_path / "part.parquet", page_checksum_verification=True).read()
    assert found["user_id"].to_pylist() == np.repeat(users.ids.to_pylist(), 3).tolist()
    assert found["item_id"].to_pylist() == [items.ids[(u * 2 + i) % ITEMS].as_py() for u in range(4) for i in range(3)]


def test_a_part_is_read_back_alike_a_few_row_groups_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users, items = Vocab(ids(pa.string(), 40)), Vocab(ids(pa.int64(), ITEMS))
    blocks = [block(np.arange(first, first + 5), [3] * 5) for first in range(0, 40, 5)]
    write_part(tmp_path / "part.parquet", blocks, users, items, 3, {})
    whole = Evidence.of(tmp_path / "part.parquet", one_in(1))
    monkeypatch.setattr("batch_jobs.part_lists.ROWS_AT_ONCE", 40)
    found = Evidence.of(tmp_path / "part.parquet", one_in(1))
    assert (found.users, found.rows, found.flat, found.broken) == (whole.users, whole.rows, whole.flat, whole.broken)
    assert (found.audit(), found.sample, found.ends) == (whole.audit(), whole.sample, whole.ends)
    for mine, theirs in ((found.item, whole.item), (found.first, whole.first), (found.scores, whole.scores)):
        assert mine.to_dict() == theirs.to_dict()


def test_long_lists_are_not_cut_by_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users, items, path = Vocab(ids(pa.string(), 40)), Vocab(ids(pa.int64(), ITEMS)), tmp_path / "part.parquet"
    monkeypatch.setattr("batch_jobs.parts.ROWS_AT_ONCE", 20)
    write_part(path, [block(np.arange(40), [7] * 40, 7)], users, items, 7, {})
    rows = pq.ParquetFile(path).metadata
    assert rows.num_row_groups > 10
    assert not any(rows.row_group(group).num_rows % 7 for group in range(rows.num_row_groups))


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()], ids=str)
@pytest.mark.parametrize("rows", [1, 5, 16])
def test_lists_that_row_groups_cut_are_read_back_whole(
    kind: pa.DataType, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as parts were written before, where K was beyond 512
    users, items = Vocab(ids(kind, 40)), Vocab(ids(kind, ITEMS))
    write_part(tmp_path / "part.parquet", [block(np.arange(40), [7] * 40, 7)], users, items, 7, {})
    pq.write_table(pq.read_table(tmp_path / "part.parquet"), tmp_path / "cut.parquet", row_group_size=rows)
    monkeypatch.setattr("batch_jobs.part_lists.ROWS_AT_ONCE", 16)
    found, whole = (Evidence.of(tmp_path / f"{name}.parquet", one_in(1)) for name in ("cut", "part"))
    assert not any(found.broken.values())
    assert (found.users, found.rows, found.audit(), found.sample) == (
        whole.users, whole.rows, whole.audit(), whole.sample
    )  # fmt: skip


def test_a_column_whose_name_is_damaged_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_part(path, [block(np.arange(3), [3] * 3)], Vocab(ids(pa.int64(), 3)), Vocab(ids(pa.int64(), ITEMS)), 3, {})
    path.write_bytes(path.read_bytes().replace(b"score", b"\xf3core"))
    with pytest.raises(DataError, match="cannot be read"):
        Evidence.of(path, one_in(1))


def test_users_that_are_null_are_missing_values(tmp_path: Path) -> None:
    path, users = tmp_path / "part.parquet", Vocab(ids(pa.string(), 3))
    write_part(path, [block(np.arange(3), [3] * 3)], users, Vocab(ids(pa.int64(), ITEMS)), 3, {})
    table = pq.read_table(path)
    gaps = pa.array([None, None, None, *table["user_id"].to_pylist()[3:]])
    pq.write_table(table.set_column(0, "user_id", gaps), path)
    assert Evidence.of(path, one_in(1)).audit().broken["missing values"] == 3


@pytest.mark.parametrize("apart", [1, 7, 10**12])
def test_what_is_counted_of_items_does_not_depend_on_how_far_their_numbers_lie_apart(
    apart: int, tmp_path: Path
) -> None:
    path, numbers = tmp_path / "part.parquet", np.arange(ITEMS) * apart - 3
    write_part(path, [block(np.arange(5), [3, 2, 3, 0, 3])], Vocab(ids(pa.int64(), 5)), Vocab(pa.array(numbers)), 3, {})
    table, found = pq.read_table(path), Evidence.of(path, one_in(1))
    item, times = np.unique(table["item_id"], return_counts=True)
    assert found.item.to_dict() == dict(zip(hashes(pa.array(item)), times, strict=True))
    assert found.sample.to_pydict() == table.select(["user_id", "item_id"]).to_pydict()


def test_the_blocks_of_users_do_not_show_in_the_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch_jobs.parts.ROWS_AT_ONCE", 24)
    users, items = Vocab(ids(pa.string(), 40)), Vocab(ids(pa.int64(), ITEMS))
    blocks = [block(np.arange(first, first + 2), [3] * 2) for first in range(0, 40, 2)]
    write_part(tmp_path / "part.parquet", blocks, users, items, 3, {})
    rows = pq.ParquetFile(tmp_path / "part.parquet").metadata
    assert [rows.row_group(group).num_rows for group in range(rows.num_row_groups)] == [24] * 5


@pytest.mark.parametrize("value", [[*range(-128, 128)], [*range(128)], [127, 126] * 100], ids=len)
def test_ids_that_fill_a_narrow_type_are_read_as_they_are(value: list[int]) -> None:
    place, others = placed(pa.chunked_array([pa.array(value, pa.int8())]))
    assert others.take(pa.array(place)).to_pylist() == value


def test_lists_that_are_nearly_empty_are_not_held_until_their_items_fill_a_row_group() -> None:
    blocks = [block(np.arange(first, first + 2), [0, 1], 5) for first in range(0, 40, 2)]
    assert [len(group) for group in row_groups(blocks, 40)] == [4] * 5
