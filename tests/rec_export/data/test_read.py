"""The same rows are read from every format, from one file or from a folder of parts."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_export.data.broken import NO_ID
from rec_export.data.config import Interactions
from rec_export.data.log import Events, read_events
from rec_export.data.read import names_in, read_table, types_in
from rec_export.errors import DataError, MissingInputError, UsageError

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


def test_a_csv_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "log.csv", index=False, encoding="utf-8-sig")
    assert events_at(tmp_path / "log.csv") == EXPECTED


def test_columns_between_tabs_keep_their_quotation_marks(tmp_path: Path) -> None:
    (tmp_path / "artists.dat").write_bytes(b'id\tname\r\n007\tThe "Who\r\n8\t"Weird" Al, esq.\r\n')
    expected = {"id": ["007", "8"], "name": ['The "Who', '"Weird" Al, esq.']}
    assert read_table(tmp_path / "artists.dat", None, text=["id"]).to_pydict() == expected


def test_other_marks_between_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_text("user,item\n1,2\n")
    with pytest.raises(DataError, match=r"log.tsv are separated by ','; write it with tabs, or with commas as .csv$"):
        read_table(tmp_path / "log.tsv", None)


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
