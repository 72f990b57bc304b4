"""The same rows are read from every format, from one file or from a folder of parts."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_export.data.broken import NO_ID
from rec_export.data.columns import is_text
from rec_export.data.config import Attributes, Interactions
from rec_export.data.entities import read_attributes
from rec_export.data.log import Events, read_events
from rec_export.data.read import names_in, read_table, types_in
from rec_export.errors import DataError, MissingInputError, StorageError, UsageError

ROWS = pd.DataFrame({
    "user_id": ["ann", "böb", "c, d", 'e"f', "ann"],
    "item_id": ["x/1", "x 2", "日本", "x\ny", "x 2"],
    "timestamp": [1_700_000_000, 1_700_000_100, 1_700_000_050, 1_700_000_200, 1_700_000_300],
    "rating": [5.0, 1.0, 3.5, 4.0, 2.0],
})  # fmt: skip
SOURCE = Interactions(path=Path(), time="timestamp", value="rating", positive=3)
Write = Callable[[pd.DataFrame, Path], object]
WRITERS: dict[str, Write] = {
    "parquet": lambda rows, path: rows.to_parquet(path),
    "csv": lambda rows, path: rows.to_csv(path, index=False),
    "csv.gz": lambda rows, path: rows.to_csv(path, index=False),
    "jsonl": lambda rows, path: rows.to_json(path, orient="records", lines=True),
    "csv.zst": lambda rows, path: path.write_bytes(pa.compress(rows.to_csv(index=False).encode(), "zstd").to_pybytes()),
    "csv.bz2": lambda rows, path: rows.to_csv(path, index=False),
    "jsonl.bz2": lambda rows, path: rows.to_json(path, orient="records", lines=True),
    "CSV.GZ": lambda rows, path: rows.to_csv(path, index=False, compression="gzip"),
    "jsonl.gz": lambda rows, path: rows.to_json(path, orient="records", lines=True),
    "CSV": lambda rows, path: rows.to_csv(path, index=False),
}


def plain(events: Events) -> list[list[object]]:
    """The events as lists."""
    assert events.time is not None
    assert events.value is not None
    columns = (
        events.user_id.column().to_pylist(),
        events.item_id.column().to_pylist(),
        events.time,
        events.value,
        events.positive,
    )
    return [list(column) for column in columns]


def events_at(path: Path) -> list[list[object]]:
    """What is read there."""
    return plain(read_events(SOURCE.model_copy(update={"path": path})))


EXPECTED = [
    ROWS.user_id.tolist(), ROWS.item_id.tolist(), (ROWS.timestamp * 1_000_000).tolist(), ROWS.rating.tolist(),
    [True, False, True, True, False],
]  # fmt: skip


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_events(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{ending}"
    WRITERS[ending](ROWS, path)
    assert events_at(path) == EXPECTED


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("ending", ["tsv", "dat", "inter"])
def test_files_with_tabs_are_read_packed_or_not(ending: str, packed: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{ending}{packed}"
    ROWS[:2].to_csv(path, sep="\t", index=False)
    assert events_at(path) == [column[:2] for column in EXPECTED]


@pytest.mark.parametrize("ending", WRITERS)
def test_a_folder_of_parts_is_read_in_the_order_of_names(ending: str, tmp_path: Path) -> None:
    for place, name in enumerate(["b/part-0", "a/part-1", "c"]):
        path = tmp_path / f"{name}.{ending}"
        path.parent.mkdir(exist_ok=True)
        WRITERS[ending](ROWS[2 * place : 2 * place + 2], path)
    order = [2, 3, 0, 1, 4]
    assert events_at(tmp_path) == [[column[row] for row in order] for column in EXPECTED]


def test_what_is_hidden_or_no_data_is_not_read(tmp_path: Path) -> None:
    for name in (".hidden.parquet", "_temporary/x.parquet", ".git/x.parquet", "a/_x.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no parquet")
    for name in ("_SUCCESS", "README.md", "x.parquet.crc"):
        (tmp_path / name).touch()
    ROWS.to_parquet(tmp_path / "log.parquet")
    assert events_at(tmp_path) == EXPECTED


def test_a_folder_whose_own_name_looks_hidden_is_read(tmp_path: Path) -> None:
    (tmp_path / "_data").mkdir()
    ROWS.to_parquet(tmp_path / "_data" / "log.parquet")
    assert events_at(tmp_path / "_data") == EXPECTED


def test_parts_may_have_columns_in_another_order_and_other_widths(tmp_path: Path) -> None:
    ROWS[:2].astype({"timestamp": "int32"}).to_parquet(tmp_path / "a.parquet")
    ROWS[2:][ROWS.columns[::-1]].to_parquet(tmp_path / "b.parquet")
    assert events_at(tmp_path) == EXPECTED


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "a.parquet")
    ROWS.assign(rating="good").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"^the parts of .* do not fit together: .*rating"):
        events_at(tmp_path)


def test_only_the_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    for ending, write in WRITERS.items():
        write(ROWS, tmp_path / f"log.{ending}")
        table = read_table(tmp_path / f"log.{ending}", ["rating", "user_id"])
        assert table.column_names == ["rating", "user_id"]


def test_rows_without_a_user_or_an_item_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = pd.concat([ROWS, ROWS[:2].assign(user_id=None), ROWS[:1].assign(item_id=None)])
    for ending, write in WRITERS.items():
        write(rows, tmp_path / f"log.{ending}")
        events = read_events(SOURCE.model_copy(update={"path": tmp_path / f"log.{ending}"}))
        assert (events.left_out, plain(events)) == ({NO_ID: 3}, EXPECTED)


def test_integer_ids_with_gaps_are_read_as_integers(tmp_path: Path) -> None:
    rows = ROWS.assign(user_id=[1.0, 2.0, np.nan, 4.0, 5.0])
    rows.to_parquet(tmp_path / "null.parquet")
    rows.to_json(tmp_path / "null.jsonl", orient="records", lines=True)
    nan = pa.array(rows.user_id.to_numpy(), from_pandas=False)
    pq.write_table(pa.Table.from_pandas(rows).set_column(0, "user_id", nan), tmp_path / "nan.parquet")
    for name in ("null.parquet", "null.jsonl", "nan.parquet"):
        events = read_events(SOURCE.model_copy(update={"path": tmp_path / name}))
        assert (name, events.left_out, events.user_id.column().to_pylist()) == (name, {NO_ID: 1}, [1, 2, 4, 5])


def test_a_gz_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    text = ROWS.to_csv(index=False).encode()
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text)[:-12])
    with pytest.raises(DataError, match="cannot be read, it is damaged"):
        events_at(tmp_path / "log.csv.gz")


def test_a_path_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(MissingInputError, match=r"lug.parquet does not exist; did you mean 'log.parquet'\?$"):
        read_table(tmp_path / "lug.parquet", None)


def test_a_column_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(UsageError, match=r"^no column 'Rating' in .*log.parquet; did you mean 'rating'\?$"):
        read_table(tmp_path / "log.parquet", ["Rating"])


def test_what_was_read_as_text_before_changes_no_type_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n7,a\n")
    read_table(tmp_path / "log.csv", None, text=["user"])
    assert types_in(tmp_path / "log.csv") == {"user": pa.int64(), "item": pa.string()}
    assert names_in(tmp_path / "log.csv") == ["user", "item"]


@pytest.mark.parametrize("name", ["b.csv.zip", "b.parquet.gz", "part-00003", "b.feather", "b.inter.xz", "b.csv.tar.gz"])
def test_a_part_that_cannot_be_read_is_not_passed_over(name: str, tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / name).write_bytes(b"more rows")
    with pytest.raises(UsageError, match=rf"^1 file in .* would not be read, the first being {name}"):
        events_at(tmp_path)


def test_parts_of_text_may_be_guessed_to_be_of_several_types(tmp_path: Path) -> None:
    """As one file with all their rows is read."""
    rows = ROWS.assign(zip=["1010", "A-1", "7", "8", "9"], user_id=["7", "8", "c", "d", "e"])
    rows.to_csv(tmp_path / "whole.csv", index=False)
    for place, part in enumerate((rows[:1], rows[1:2], rows[2:])):
        (tmp_path / "parts").mkdir(exist_ok=True)
        part.to_csv(tmp_path / "parts" / f"{place}.csv", index=False)
    tables = [read_table(tmp_path / name, None, text=["user_id"]) for name in ("whole.csv", "parts")]
    assert tables[0].to_pydict() == tables[1].to_pydict()
    assert events_at(tmp_path / "parts") == events_at(tmp_path / "whole.csv")


def test_dates_in_one_part_and_times_in_another_are_times(tmp_path: Path) -> None:
    for name, time in (("a", "2026-10-01"), ("b", "2026-10-01T12:30:00")):
        (tmp_path / f"{name}.csv").write_text(f"user_id,item_id,timestamp,rating\n1,2,{time},5\n")
    day = 1_790_812_800_000_000
    assert events_at(tmp_path)[2] == [day, day + 45_000_000_000]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_an_empty_id_is_none(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{ending}"
    WRITERS[ending](pd.concat([ROWS, ROWS[:2].assign(user_id=""), ROWS[:1].assign(item_id="")]), path)
    events = read_events(SOURCE.model_copy(update={"path": path}))
    assert (events.left_out, plain(events)) == ({NO_ID: 3}, EXPECTED)


def test_an_empty_id_among_categories_of_text_is_none(tmp_path: Path) -> None:
    """As pandas writes them: each value once, and a number for each row."""
    rows = pd.concat([ROWS, ROWS[:2].assign(user_id="")]).astype({"user_id": "category"})
    rows.to_parquet(tmp_path / "log.parquet")
    assert events_at(tmp_path / "log.parquet")[0] == ROWS.user_id.tolist()


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_an_item_without_an_id_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"items.{ending}"
    WRITERS[ending](pd.DataFrame({"item_id": ["a", "", "b"], "brand": ["x", "y", "z"]}), path)
    with pytest.raises(DataError, match=r"^1 of 3 rows of .* have no item_id; give them ids or leave them out$"):
        read_attributes(Attributes(path=path, id="item_id", category=("brand",)))


def test_integers_that_were_written_as_floats_are_the_same_ids_in_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp,rating\n766,1,1700000000,5\n7,2,1700000000,5\n")
    (tmp_path / "b.csv").write_text("user_id,item_id,timestamp,rating\n766.0,1,1700000001,5\n,2,1700000000,5\n")
    assert events_at(tmp_path)[:2] == [[766, 7, 766], [1, 2, 1]]


def test_the_name_of_a_part_is_utf_8(tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_bytes((tmp_path / "a.csv").read_bytes())
    with pytest.raises(UsageError, match=r"is not UTF-8; rename it$"):
        events_at(tmp_path)


def test_text_in_utf_16_is_told_as_such(tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "log.csv", index=False, encoding="utf-16")
    with pytest.raises(DataError, match=r"is in UTF-16; write it in UTF-8$"):
        events_at(tmp_path / "log.csv")


def test_what_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Arrow's words, which name the file in the middle of a sentence."""

    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(13, "Failed to open local file 'log.parquet'")

    ROWS.to_parquet(tmp_path / "log.parquet")
    monkeypatch.setattr(pq, "ParquetFile", refuses)
    with pytest.raises(StorageError, match=r"^cannot read or write .*log\.parquet: permission denied; check that"):
        events_at(tmp_path / "log.parquet")


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ("_delta_log/0.json", "a Delta"),
        ("metadata/v1.metadata.json", "an Iceberg"),
        (".hoodie/table", "a Hudi"),
    ],
)
def test_the_folder_of_a_table_with_versions_is_refused(inside: str, kind: str, tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "part-0.parquet")
    (tmp_path / inside).parent.mkdir()
    (tmp_path / inside).write_text("{}")
    with pytest.raises(UsageError, match=rf"is the folder of {kind} table, where files of older versions"):
        read_table(tmp_path, None)


def test_text_in_views_is_text(tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "a.parquet")
    table = pa.Table.from_pandas(ROWS, preserve_index=False)
    views = pa.schema([field.with_type(pa.string_view()) if is_text(field.type) else field for field in table.schema])
    (tmp_path / "views").mkdir()
    pq.write_table(table.cast(views), tmp_path / "views" / "b.parquet")
    assert pq.read_schema(tmp_path / "views" / "b.parquet").field("user_id").type == pa.string_view()
    assert is_text(types_in(tmp_path / "views")["user_id"])
    assert events_at(tmp_path / "views") == EXPECTED


def test_text_in_parquet_that_is_not_utf_8_is_damage(tmp_path: Path) -> None:
    latin = pa.array([name.encode("latin-1") for name in ("caf\u00e9", "b", "c")]).cast(pa.binary())
    text = pa.StringArray.from_buffers(3, *latin.buffers()[1:])
    pq.write_table(pa.table({"user_id": text}), tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"log\.parquet cannot be read, it is damaged .*UTF8"):
        read_table(tmp_path / "log.parquet", None)
