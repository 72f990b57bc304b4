"""A column means the same however it was written."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.columns import bags, floats, ids, numbers_where_possible, words
from rec_export.data.read import read_table
from rec_export.errors import DataError

WHERE = "column 'x'"


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    """A column as a table has it."""
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.int8(), pa.int32(), pa.int64(), pa.uint16(), pa.uint64()]
)
def test_ids_keep_the_type_they_came_in(kind: pa.DataType) -> None:
    values = column([3, 1, None, 3]).cast(kind)
    assert ids(values, WHERE).equals(values.combine_chunks())


def test_ids_of_a_dictionary_are_its_values() -> None:
    assert ids(column(["b", "a", "b"]).dictionary_encode(), WHERE).equals(pa.array(["b", "a", "b"]))


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_whole_floats_are_integers(kind: pa.DataType) -> None:
    assert ids(column([3.0, -0.0, None, 2.0**20], kind), WHERE).equals(pa.array([3, 0, None, 2**20]))


@given(values=st.lists(st.text(alphabet="0123456789-+. eaX", max_size=4) | st.integers().map(str), min_size=1))
def test_text_becomes_numbers_only_if_nothing_is_lost(values: list[str]) -> None:
    whole = [v.removesuffix(".0") for v in values] if all(v.endswith(".0") for v in values) else values
    canonical = all(re.fullmatch(r"-?\d+", v) and str(int(v)) == v and -(2**63) <= int(v) < 2**63 for v in whole)
    got = numbers_where_possible(column(values, pa.string()))
    expected = (True, whole) if canonical else (False, values)
    assert (pa.types.is_int64(got.type), got.cast(pa.string()).to_pylist()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("007\n8", ["007", "8"]),
        ("7\n8", [7, 8]),
        ("+7\n8", ["+7", "8"]),
        ("1e3\n8", ["1e3", "8"]),
        ("a\n8", ["a", "8"]),
    ],
)
def test_ids_in_a_csv_are_numbers_only_where_all_are(text: str, expected: list[object], tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"id\n{text}\n")
    assert read_table(tmp_path / "log.csv", ["id"], text=["id"])["id"].to_pylist() == expected


@pytest.mark.parametrize("text", ['7.0\n8\n""', "7.0\n8.0", "-7.0\n-8.0"])
def test_ids_in_a_csv_that_are_whole_floats_are_numbers(text: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"id\n{text}\n")
    got = read_table(tmp_path / "log.csv", ["id"], text=["id"])["id"]
    assert got.drop_null().to_pylist() == [int(float(one)) for one in text.split() if one != '""']


@pytest.mark.parametrize("text", ["7.0\n007", "7.00\n8", "7.0\nx.0", "-0.0\n1", "7.0\n8.5", "1\n1.0"])
def test_ids_in_a_csv_that_are_no_whole_floats_stay_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"id\n{text}\n")
    assert read_table(tmp_path / "log.csv", ["id"], text=["id"])["id"].to_pylist() == text.split()


def test_floats_that_have_lost_digits_are_no_ids() -> None:
    assert ids(column([2.0**53 - 1]), WHERE).to_pylist() == [2**53 - 1]
    assert ids(column([2.0**24 - 1, None], pa.float32()), WHERE).to_pylist() == [2**24 - 1, None]
    assert ids(column([np.float16(5)], pa.float16()), WHERE).to_pylist() == [5]
    with pytest.raises(DataError, match=r"which have lost their last digits"):
        ids(column([2.0**24], pa.float32()), WHERE)
    for large in (2.0**53, -(2.0**60)):
        with pytest.raises(DataError, match=r"which have lost their last digits; write ids as integers or strings$"):
            ids(column([1.0, None, large]), WHERE)


def test_text_in_parquet_stays_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["7", "8"]}), tmp_path / "log.parquet")
    assert read_table(tmp_path / "log.parquet", ["id"], text=["id"])["id"].to_pylist() == ["7", "8"]


@pytest.mark.parametrize("values", [[1, None, 3], [1.0, float("nan"), 3.0]])
def test_missing_numbers_are_nan(values: list[float | None]) -> None:
    np.testing.assert_array_equal(floats(column(values), WHERE), np.array([1, np.nan, 3], np.float32))


def test_booleans_and_decimals_are_numbers() -> None:
    assert floats(column([True, False]), WHERE).tolist() == [1.0, 0.0]
    assert floats(column([1, 2], pa.decimal128(5, 1)), WHERE).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("values", [[1, 2, None], [1.0, 2.0, None], [1.0, 2.0, float("nan")], ["1", "2", None]])
def test_a_word_is_the_same_as_number_or_text(values: list[object]) -> None:
    assert words(column(values), WHERE).to_pylist() == ["1", "2", None]


def test_a_long_number_is_the_same_word_with_gaps_or_without() -> None:
    for values in ([12345678901, 2], [12345678901.0, 2.0, None]):
        assert words(column(values), WHERE).to_pylist()[:2] == ["12345678901", "2"]
    assert words(column([0.5, -12345678901.0, 12345678901.5, 1e300]), WHERE).to_pylist() == [
        "0.5", "-12345678901", "1.23456789015e+10", "1e+300",
    ]  # fmt: skip


def test_words_of_a_dictionary_are_its_values() -> None:
    assert words(column(["b", None, "b"]).dictionary_encode(), WHERE).to_pylist() == ["b", None, "b"]


@pytest.mark.parametrize("values", [[["a", "b"], [], None], ["a|b", None, None]])
def test_tags_are_lists_or_one_string(values: list[object]) -> None:
    got = [value or [] for value in bags(column(values), "|", WHERE).to_pylist()]
    assert got == [["a", "b"], [], []]
