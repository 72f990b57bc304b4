"""Fields of objects are columns, whatever else is in the objects."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_export.data.read import left_out, names_in, read_table
from rec_export.errors import DataError, UsageError

ROWS: list[dict[str, Any]] = [
    {"user": "ann", "track": {"name": "x", "more": {"seconds": 1}}, "tags": ["a"]},
    {"user": "bob", "track": {"name": "y", "more": {"seconds": 2.5}}, "tags": []},
    {"user": "cleo", "track": None},
]
EXPECTED: dict[str, list[Any]] = {"track.name": ["x", "y", None], "track.more.seconds": [1, 2.5, None]}


def lines(rows: list[Any], path: Path) -> Path:
    """Write one JSON value a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_field_of_an_object_is_a_column_of_json_lines(tmp_path: Path) -> None:
    assert read_table(lines(ROWS, tmp_path / "log.jsonl"), list(EXPECTED)).to_pydict() == EXPECTED


def test_a_field_of_an_object_is_a_column_of_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "log.parquet")
    assert read_table(tmp_path / "log.parquet", list(EXPECTED)).to_pydict() == EXPECTED


@pytest.mark.parametrize("number", ["12/13", {"disc": 1}, [12], True])
def test_a_field_of_several_types_is_left_out_and_the_rest_is_read(number: object, tmp_path: Path) -> None:
    more = [{"track": {"name": "z", "number": 12}}, {"track": {"number": number, "more": {"seconds": 3}}}]
    path = lines([*ROWS, *more], tmp_path / "log.jsonl")
    assert read_table(path, [*EXPECTED, "user"]).to_pydict() == {
        "track.name": [*EXPECTED["track.name"], "z", None],
        "track.more.seconds": [*EXPECTED["track.more.seconds"], None, 3],
        "user": ["ann", "bob", "cleo", None, None],
    }
    assert names_in(path, inside=True) == ["user", "track", "track.name", "track.more", "track.more.seconds", "tags"]
    assert left_out(path) == ["track.number"]
    with pytest.raises(
        UsageError, match=r"^no column 'track.number' in .*log.jsonl.* left out where its values change"
    ):
        read_table(path, ["track.number"])


def test_objects_themselves_are_not_among_all_columns(tmp_path: Path) -> None:
    path = lines([{**ROWS[0], "images": [{"url": "u"}]}], tmp_path / "log.jsonl")
    assert read_table(path, None).column_names == ["user", "tags"]
    assert read_table(lines([{"user": {"id": 1}}], tmp_path / "objects.jsonl"), None).column_names == []


def test_parts_that_differ_in_what_nobody_asked_for_fit_together(tmp_path: Path) -> None:
    for name, number in (("1", 12), ("2", "12/13")):
        lines([{"user": name, "track": {"name": "x", "number": number}}], tmp_path / f"{name}.listens")
    assert read_table(tmp_path, ["user", "track.name"]).to_pydict() == {"user": ["1", "2"], "track.name": ["x", "x"]}
    assert read_table(tmp_path, None).to_pydict() == {"user": ["1", "2"]}


def test_lists_of_words_may_have_gaps_where_other_fields_change_their_type(tmp_path: Path) -> None:
    path = lines([{"a": 1, "tags": ["x", None]}, {"a": "y", "tags": []}], tmp_path / "log.jsonl")
    assert read_table(path, ["tags"]).to_pydict() == {"tags": [["x", None], []]}


def test_a_line_without_end_among_several_types_is_refused(tmp_path: Path) -> None:
    path = lines([{"a": 1}, {"a": "x"}], tmp_path / "log.jsonl")
    path.write_text(path.read_text() + '{"b": ' + "[" * 100_000 + "]" * 100_000 + "}\n", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read, it is damaged or not what its name says"):
        read_table(path, ["a"])


def test_a_damaged_line_among_several_types_is_refused(tmp_path: Path) -> None:
    path = lines([{"a": 1}, {"a": "x"}], tmp_path / "log.jsonl")
    path.write_text(path.read_text() + '{"a": \n', encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read, it is damaged or not what its name says"):
        read_table(path, ["a"])


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_of_objects_is_refused_with_what_to_do(indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(ROWS, indent=indent), encoding="utf-8")
    with pytest.raises(DataError, match=r"log.json is a JSON array; write one object a line, as `jq -c '.\[\]'` does"):
        read_table(path, None)


def test_a_column_with_a_dot_in_its_name_is_itself(tmp_path: Path) -> None:
    pd.DataFrame({"unit.price": [1.5]}).to_csv(tmp_path / "items.csv", index=False)
    pd.DataFrame({"unit.price": [1.5]}).to_parquet(tmp_path / "items.parquet")
    for name in ("items.csv", "items.parquet"):
        assert read_table(tmp_path / name, ["unit.price"]).to_pydict() == {"unit.price": [1.5]}


def test_only_what_changes_its_type_is_told_of(tmp_path: Path) -> None:
    rows = [{"at": 1, "sizes": [1], "images": [{"url": "u"}]}, {"at": "2020-01-01", "sizes": [], "images": []}]
    path = lines(rows, tmp_path / "log.jsonl")
    assert left_out(path) == ["at"]
    assert left_out(lines(rows[:1], tmp_path / "log.jsonl")) == []  # the file is another one now


def test_what_is_left_out_is_told_without_reading_the_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lines([{"user": "a", "at": 1}, {"user": "b", "at": "late"}], tmp_path / "log.jsonl")
    read_table(path, ["user"])
    monkeypatch.delattr("rec_export.data.json_lines.parsed")
    assert (left_out(path), names_in(path)) == (["at"], ["user"])


def test_lists_of_numbers_are_read_beside_a_field_that_changes_and_mixed_ones_are_told_of(tmp_path: Path) -> None:
    rows = [
        {"ids": [1, 2], "marks": [1, 0.5], "flags": [True], "none": [], "odd": ["a", 2], "at": 1},
        {"ids": [], "marks": [3], "flags": [None], "none": [], "odd": ["b"], "at": "late"},
    ]
    path = lines(rows, tmp_path / "log.jsonl")
    assert read_table(path, None).to_pylist() == [
        {"ids": [1, 2], "marks": [1.0, 0.5], "flags": [True], "none": []},
        {"ids": [], "marks": [3.0], "flags": [None], "none": []},
    ]
    assert left_out(path) == ["odd", "at"]
