"""A file that cannot be read is named with the reason."""

import math
from pathlib import Path

import pyarrow as pa
import pytest

from tests.bad_input.conftest import error, log_columns, train, with_log
from tests.conftest import write_table


def test_a_file_of_0_bytes(place: Path) -> None:
    (place / "log.parquet").write_bytes(b"")
    assert train(place) == error(65, "DIR/log.parquet is empty (0 bytes); write it again")


def test_a_table_without_rows(place: Path) -> None:
    write_table(place / "log.parquet", **{name: pa.array([], pa.array(v).type) for name, v in log_columns().items()})
    assert train(place) == error(
        65, "DIR/log.parquet has no rows; is it the right file, and was it written to its end?"
    )


def test_a_csv_that_is_a_header_only(place: Path) -> None:
    (place / "log.csv").write_text("user_id,item_id,time,rating\n")
    with_log(place, path="log.csv")
    assert train(place) == error(65, "DIR/log.csv has no rows; is it the right file, and was it written to its end?")


DAMAGED = "cannot be read, it is damaged or not what its name says:"


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("name", ["log", "items"])
def test_a_truncated_parquet_file(name: str, share: float, place: Path) -> None:
    path = place / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[: math.ceil(path.stat().st_size * share)])
    code, err, changed = train(place)
    assert (code, err.startswith(f"Error: DIR/{name}.parquet {DAMAGED} "), err.count("\n"), changed) == (
        65,
        True,
        1,
        [],
    )


def test_a_csv_with_a_row_that_is_too_short(place: Path) -> None:
    (place / "log.csv").write_text("user_id,item_id,time,rating\na,b,1700000000,2\na,b\n")
    with_log(place, path="log.csv")
    assert train(place) == error(65, f"DIR/log.csv {DAMAGED} CSV parse error: Expected 4 columns, got 2: a,b")


def test_a_csv_that_is_not_utf_8(place: Path) -> None:
    (place / "log.csv").write_bytes("user_id,item_id,time,rating\né,b,1700000000,2\n".encode("latin1"))
    with_log(place, path="log.csv")
    said = "In CSV column #0: CSV conversion error to string: invalid UTF8 data"
    assert train(place) == error(65, f"DIR/log.csv {DAMAGED} {said}")


def test_json_lines_that_are_cut_off(place: Path) -> None:
    (place / "log.jsonl").write_text('{"user_id": "a"}\n\n{"user_id": "a"')
    with_log(place, path="log.jsonl")
    said = "line 3 is no JSON (Expecting ',' delimiter at character 16)"
    assert train(place) == error(65, f"DIR/log.jsonl {DAMAGED} {said}")


def test_a_gz_that_is_not_one(place: Path) -> None:
    (place / "log.csv.gz").write_text("user_id,item_id")
    with_log(place, path="log.csv.gz")
    said = "zlib inflate failed: incorrect header check"
    assert train(place) == error(65, f"DIR/log.csv.gz cannot be read, it is damaged or cut off: {said}")


def test_a_file_of_another_kind(place: Path) -> None:
    with_log(place, path="config.yaml")
    assert train(place) == error(
        2,
        "DIR/config.yaml is not .parquet, .csv, .tsv or .jsonl (or .csv.gz, .csv.bz2, .csv.zst); convert or rename it",
    )


def test_a_folder_without_data(place: Path) -> None:
    (place / "empty").mkdir()
    (place / "empty" / "_SUCCESS").touch()
    with_log(place, path="empty")
    assert train(place) == error(66, "the folder DIR/empty holds no .parquet, .csv, .tsv or .jsonl file")
