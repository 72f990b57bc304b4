"""Columns, units and thresholds are guessed as a person would read them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from rec_export.data.config import Interactions
from rec_export.data.guess import Given, guess_data
from rec_export.errors import DataError, UsageError
from tests.conftest import write_table

SECONDS = [1_600_000_000 + 1000 * row for row in range(6)]

SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "amazon-musical-instruments-5core": (
        {"user_id": list("abcabc"), "item_id": list("xyzzyx"), "rating": [5.0, 4, 3, 1, 5, 5], "timestamp": SECONDS},
        {"time": "timestamp", "value": "rating", "positive": 4.0},
    ),
    "amazon-electronics-2023": (
        {
            "user_id": list("abcabc"),
            "item_id": list("xyzzyx"),
            "rating": [5.0, 4, 3, 1, 5, 5],
            "timestamp_ms": [second * 1000 for second in SECONDS],
            "source_split": ["train"] * 6,
        },
        {"time": "timestamp_ms", "value": "rating", "positive": 4.0},
    ),
    "hetrec2011-lastfm": (
        {"user_id": list("abcabc"), "item_id": list("xyzzyx"), "weight": [13883, 1, 260, 7, 9, 11]},
        {"time": None, "value": "weight", "positive": None},
    ),
    "online-retail-ii": (
        {
            "invoice": list("123456"),
            "item_id": list("xyzzyx"),
            "quantity": [12, -1, 6, 0, 3, 2],
            "timestamp": SECONDS,
            "unit_price": [1.0] * 6,
            "user_id": list("abcabc"),
            "country": ["UK"] * 6,
        },
        {"time": "timestamp", "value": "quantity", "positive": 1.0},
    ),
}


def guessed(path: Path, **said: Any) -> Interactions:
    """What is guessed of a log of which some is said."""
    return guess_data(Given(log=path, **said)).interactions


@pytest.mark.parametrize("name", SHAPES)
def test_the_columns_of_real_data_sets_are_found(name: str, tmp_path: Path) -> None:
    columns, expected = SHAPES[name]
    path = write_table(tmp_path / "log.parquet", **columns)
    assert guessed(path) == Interactions(path=path, user="user_id", item="item_id", **expected)


def test_names_are_known_in_other_writings(tmp_path: Path) -> None:
    columns = {"Customer ID": ["a"], "StockCode": ["x"], "InvoiceDate": ["2011-12-09 12:50:00"], "Quantity": [2]}
    path = write_table(tmp_path / "log.parquet", **columns)
    expected = Interactions(path=path, user="Customer ID", item="StockCode", time="InvoiceDate", value="Quantity")
    assert guessed(path) == expected


@pytest.mark.parametrize("name", ["when", "event_time", "date", "ts", "created_at", "Event Date", "played-at"])
def test_a_column_of_times_is_known_by_its_name(name: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "log.parquet", user=["a", "b"], item=["x", "y"], **{name: SECONDS[:2]})
    assert guessed(path).time == name


@pytest.mark.parametrize(("columns", "found"), [(["bought"], "bought"), (["bought", "shipped"], None)])
def test_a_column_of_times_by_another_name_is_known_by_its_type(
    columns: list[str], found: str | None, tmp_path: Path
) -> None:
    moments = pa.array([day * 86_400_000_000 for day in (18_000, 18_001)], pa.timestamp("us"))
    path = write_table(tmp_path / "log.parquet", user=["a", "b"], item=["x", "y"], **dict.fromkeys(columns, moments))
    assert guessed(path).time == found


def test_the_key_of_a_table_that_the_log_has_too_is_its_item_or_user(tmp_path: Path) -> None:
    log = write_table(tmp_path / "log.parquet", who=[1, 1, 2], restaurant=[7, 8, 7], city=["x", "x", "y"])
    items = write_table(tmp_path / "items.parquet", restaurant=[7, 8, 9], city=["x", "x", "y"])
    users = write_table(tmp_path / "users.parquet", who=[1, 2, 3], city=["x", "y", "y"])
    found = guess_data(Given(log=log, items=items, users=users))
    assert (found.interactions.user, found.interactions.item) == ("who", "restaurant")
    assert found.items is not None
    assert found.items.id == "restaurant"
    twice = write_table(tmp_path / "twice.parquet", restaurant=[7, 8, 8], city=["x", "x", "y"])
    with pytest.raises(UsageError, match=r"cannot tell which column of .* is the item"):
        guess_data(Given(log=log, items=twice, users=users))


def test_what_the_user_says_counts(tmp_path: Path) -> None:
    path = write_table(tmp_path / "log.parquet", user_id=["a"], item_id=["x"], who=["b"], what=["y"], rating=[3], n=[2])
    said = guessed(path, user="who", item="what", value="n", positive=2.0)
    assert said == Interactions(path=path, user="who", item="what", value="n", positive=2.0)


@pytest.mark.parametrize(
    ("ratings", "positive"),
    [
        ([1, 5], 4.0),
        ([1, 10], 7.0),
        ([2, 3], None),
        ([0, 1], 1.0),
        ([-1, 1], 1.0),
        (np.array([0, 0.01], np.float32), 0.01),  # the shortest number that is the same in float32
        (np.array([0, 5.83, 20], np.float32), 0.01),  # as what comes later may cost less
        (np.array([0, 99_999.95, 20.5], np.float32), 0.01),
        ([0, 17, 300], 1.0),
        (np.array([0, 0.4, 12], np.float32), 0.1),
        (np.array([0, np.pi, 12], np.float32), 3.1415927),
    ],
)
def test_a_liking_is_the_upper_part_of_the_stars_or_anything_above_zero(
    ratings: Sequence[float] | npt.NDArray[np.float32], positive: float | None, tmp_path: Path
) -> None:
    ids = [str(row) for row in range(len(ratings))]
    path = write_table(tmp_path / "log.parquet", user=ids, item=ids, stars=ratings)
    assert guessed(path).positive == positive


@pytest.mark.parametrize(
    ("name", "values", "positive"),
    [
        ("stars_given", [0, 1, 4, 5], 4.0),
        ("Star Rating", [1, 5], 4.0),
        ("verdict", [1, 3, 4, 5], 4.0),
        ("verdict", [0.5, 3.5, 4, 5], 4.0),
        ("verdict", [1, 1, 1, 2, 3, 5], None),
        ("verdict", [1, 4, 5], None),
        ("verdict", [1, 2.2, 4, 5], None),
        ("verdict", [1, 2, 3, 4], None),
        ("pieces", [0, 1, 3, 4, 5], 1.0),
        ("plays", [1, 2, 3, 5], None),
    ],
)
def test_values_that_the_user_names_are_stars_where_name_or_steps_say_so(
    name: str, values: list[float], positive: float | None, tmp_path: Path
) -> None:
    ids = [str(row) for row in range(len(values))]
    path = write_table(tmp_path / "log.parquet", user=ids, item=ids, **{name: values})
    assert guessed(path, value=name).positive == positive


def test_a_time_that_lands_in_1970_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "log.parquet", user=["a", "b"], item=["x", "y"], ts=[1, 2])
    with pytest.raises(
        DataError, match=r"the times in column 'ts' of .* \(1 \.\. 2\) are dates between 1990 and 2100 in no"
    ):
        guessed(path)


def test_a_log_without_a_known_name_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "log.parquet", user=["a"], thing=["x"])
    with pytest.raises(UsageError, match=r"which column of .* is the item; name it with --item. It has: user, thing$"):
        guessed(path)


def test_fields_of_objects_are_known_by_the_names_of_both(tmp_path: Path) -> None:
    lines = [
        {"user": {"id": n % 3, "name": "x"}, "track": {"id": f"t{n}"}, "played-at": 1_700_000_000 + n} for n in range(9)
    ]
    path = tmp_path / "plays.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    log = guess_data(Given(log=path)).interactions
    assert (log.user, log.item, log.time) == ("user.id", "track.id", "played-at")
    path.write_text("".join(json.dumps({**line, "user_id": 7}) + "\n" for line in lines), encoding="utf-8")
    assert guess_data(Given(log=path)).interactions.user == "user_id"  # what stands above is meant first


def test_inside_objects_only_ids_are_guessed(tmp_path: Path) -> None:
    path = tmp_path / "plays.jsonl"
    line = {"user": {"id": ["a"]}, "user_id": "u", "item": {"id": 7, "released": "2020-01-01T00:00:00", "rating": 3.5}}
    path.write_text(json.dumps(line) + "\n" + json.dumps(line) + "\n", encoding="utf-8")
    log = guess_data(Given(log=path)).interactions
    assert (log.user, log.item, log.time, log.value) == ("user_id", "item.id", None, None)


def test_a_time_or_a_value_that_a_part_lacks_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    write_table(tmp_path / "log" / "1.parquet", user_id=["a"], item_id=["x"], rating=[5.0], timestamp=[1_700_000_000])
    write_table(tmp_path / "log" / "2.parquet", user_id=["a"], item_id=["x"], timestamp=[1_700_000_000])
    log = guess_data(Given(log=tmp_path / "log")).interactions
    assert (log.time, log.value) == ("timestamp", None)


def test_a_dot_in_the_name_of_a_flat_column_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user.id,item.id,event.time,event.rating\na,x,1700000000,5\nb,x,1700000000,4\n", encoding="utf-8")
    log = guess_data(Given(log=path)).interactions
    assert (log.user, log.item, log.time) == ("user.id", "item.id", "event.time")


def test_a_name_inside_an_object_is_nobodys_id(tmp_path: Path) -> None:
    path = tmp_path / "plays.jsonl"
    path.write_text(json.dumps({"user": {"name": "Ann"}, "item_id": "x"}) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot tell which column of .* is the user"):
        guess_data(Given(log=path))


def test_a_value_that_all_parts_have_is_guessed_before_one_that_some_lack(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    write_table(tmp_path / "log" / "1.parquet", user_id=["a"], item_id=["x"], rating=[5.0], plays=[3])
    write_table(tmp_path / "log" / "2.parquet", user_id=["a"], item_id=["x"], plays=[4])
    assert guess_data(Given(log=tmp_path / "log")).interactions.value == "plays"


def test_words_are_no_value(tmp_path: Path) -> None:
    log = {"user": ["a", "b"], "item": ["x", "y"], "value": ["EUR", "USD"]}
    assert guessed(write_table(tmp_path / "a.parquet", **log)).value is None
    assert guessed(write_table(tmp_path / "b.parquet", **log, count=["4", "5"])).value == "count"
