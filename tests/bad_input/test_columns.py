"""A column that is missing is named, with the nearest that is there; one that cannot be used, with the reason."""

import datetime
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.bad_input.conftest import (
    LOG,
    ROWS,
    SECTIONS,
    TABLE,
    changed_log,
    error,
    log_columns,
    train,
    with_log,
)
from tests.conftest import config_file, refusal, write_table


def test_a_missing_column_is_named(place: Path) -> None:
    columns = log_columns()
    del columns["rating"]
    write_table(place / "log.parquet", **columns)
    assert train(place) == error(2, "no column 'rating' in DIR/log.parquet; known: item_id, time, user_id")


def test_a_misnamed_column_is_answered_with_the_nearest(place: Path) -> None:
    with_log(place, user="userid")
    assert train(place) == error(2, "no column 'userid' in DIR/log.parquet; did you mean 'user_id'?")


def test_a_misnamed_attribute_is_answered_with_the_nearest(place: Path) -> None:
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "items": {**TABLE, "dense": ["prize"]}}})
    assert train(place) == error(2, "no column 'prize' in DIR/items.parquet; did you mean 'price'?")


def test_run_answers_a_misnamed_column_with_the_nearest(place: Path) -> None:
    answer = refusal(place, "run", place / "log.parquet", "-o", place / "out", "--user", "usr_id")
    assert answer == error(2, "no column 'usr_id' in DIR/log.parquet; did you mean 'user_id'?")


def test_run_says_how_to_name_a_column_that_it_cannot_guess(place: Path) -> None:
    write_table(place / "log.parquet", user=["a"], what=["b"])
    assert refusal(place, "run", place / "log.parquet", "-o", place / "out") == error(
        2, "cannot tell which column of DIR/log.parquet is the item; name it with --item. It has: user, what"
    )


def test_run_says_all_that_it_cannot_guess_at_once(place: Path) -> None:
    write_table(place / "log.parquet", who=["a"], what=["b"])
    write_table(place / "things.parquet", code=["b"], price=[1.0])
    words = "--items", place / "things.parquet", "-o", place / "out"
    assert refusal(place, "run", place / "log.parquet", *words) == error(
        2,
        "cannot tell which columns of DIR/log.parquet are the user and the item; name them with --user and --item."
        " It has: who, what. And cannot tell which column of DIR/things.parquet is the id; call it as in the log."
        " It has: code, price",
    )


def test_an_empty_name_of_a_column_is_answered_with_what_to_do(place: Path) -> None:
    assert refusal(place, "run", place / "log.parquet", "-o", place / "out", "--time", "") == error(
        2,
        "--time is empty; name a column, or leave --time out to have it guessed; to learn without time, remove `time`"
        " from what `rec-export init` writes",
    )


def test_run_names_the_fields_that_change_their_type_where_it_misses_one(place: Path) -> None:
    lines = ('{"user_id": 1, "item_id": "x", "stars": 5}', '{"user_id": "b", "item_id": "y", "stars": "five"}')
    (place / "log.jsonl").write_text("\n".join(lines))
    assert refusal(place, "run", place / "log.jsonl", "-o", place / "out") == error(
        2,
        "cannot tell which column of DIR/log.jsonl is the user; name it with --user. It has: item_id."
        " Not read, as the type changes from line to line: user_id, stars",
    )


WAY_OUT = (
    ". To leave them out: data.interactions.bad_rows: leave_out, or --bad-rows leave-out of `init`, `run` and `score`"
)
STRAGGLERS = None, math.nan, math.inf, "soon", "late"
IDS = "which cannot be an id; ids are strings or integers"
EPOCHS = "are dates between 1990 and 2100 in no unit of s, ms, us, ns"
STAMPS = "repair them, set time_unit to us, or use the log without time"


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        (
            "rating",
            ["x"] * ROWS,
            "300 of 300 values of @ are no numbers, the first being 'x' in row 1; repair them or leave the rows out",
        ),
        (
            "rating",
            [math.nan, *[4.0] * 299],
            "1 of 300 values of @ are missing, the first in row 1; fill them or leave the rows out",
        ),
        (
            "rating",
            [*[4.0] * 297, None, None, 1.0],
            "2 of 300 values of @ are missing, the first in row 298; fill them or leave the rows out",
        ),
        (
            "rating",
            [math.inf, *[4.0] * 299],
            "1 of 300 values of @ are infinite, the first in row 1; make them missing instead",
        ),
        ("time", [math.nan, *[1.7e9] * 299], "1 of 300 values of @ are not finite; repair them or leave the rows out"),
        (
            "time",
            [None, None, *[1_700_000_000] * 298],
            "2 of 300 values of @ are missing, the first in row 1; fill them or leave the rows out",
        ),
        (
            "time",
            ["2020-01-01"] * 298 + ["soon", "late"],
            "holds text that is no ISO 8601 time (2 different values), the first being 'soon';"
            " write times like 2026-11-20 or 2026-11-20T08:30:00Z",
        ),
        ("time", [True] * ROWS, "holds bool, which cannot be a time; give epochs, dates or timestamps"),
        (
            "time",
            list(range(ROWS)),
            f"the times in @ (0 .. 299) {EPOCHS}; repair them, set time_unit, or use the log without time",
        ),
        (
            "time",
            pa.array(range(ROWS), pa.timestamp("s")),
            f"the times in @ (1970-01-01 .. 1970-01-01) are not between 1990 and 2100; {STAMPS}",
        ),
        (
            "user_id",
            [user + 0.5 for user in range(ROWS)],
            "holds fractions, which cannot be ids; ids are strings or integers",
        ),
        ("user_id", [True] * ROWS, f"holds bool, {IDS}"),
        ("user_id", [datetime.date(2020, 1, 1)] * ROWS, f"holds date32[day], {IDS}"),
        ("user_id", [["a"]] * ROWS, f"holds list<element: string>, {IDS}"),
    ],
)
def test_a_column_of_the_log_that_cannot_be_used(column: str, values: Any, sentence: str, place: Path) -> None:
    where = f"column '{column}' of DIR/log.parquet"
    whole = sentence.replace("@", where) if "@" in sentence else f"{where} {sentence}"
    few = column != "user_id" and sum(1 for one in values if one in STRAGGLERS) in range(1, ROWS // 2)
    assert changed_log(place, **{column: values}) == error(65, whole + WAY_OUT * few)


def test_rows_are_numbered_among_those_that_have_ids(place: Path) -> None:
    users = [None, *log_columns()["user_id"][1:]]
    told = "1 of 299 values of column 'time' of DIR/log.parquet (rows with a user and an item) are missing,"
    assert changed_log(place, user_id=users, time=[1_700_000_000, None, *[1_700_000_000] * 298]) == error(
        65, f"{told} the first in row 1; fill them or leave the rows out{WAY_OUT}"
    )


def test_a_log_without_any_id(place: Path) -> None:
    assert changed_log(place, user_id=[None] * ROWS) == error(
        65, "no row of DIR/log.parquet has both a user (user_id) and an item (item_id)"
    )


def test_ids_beyond_int64(place: Path) -> None:
    assert changed_log(place, item_id=pa.array([2**64 - 1] * ROWS, pa.uint64())) == error(
        65, "an id is beyond int64 (18446744073709551615); write ids as strings"
    )


def test_nothing_is_left_of_a_run_on_ids_beyond_int64(place: Path) -> None:
    write_table(place / "log.parquet", **log_columns() | {"item_id": pa.array([2**64 - 1] * ROWS, pa.uint64())})
    assert refusal(place, "run", place / "log.parquet", "-o", place / "out") == error(
        65, "an id is beyond int64 (18446744073709551615); write ids as strings"
    )


def test_times_beyond_int64(place: Path) -> None:
    assert changed_log(place, time=pa.array([2**64 - 1] * ROWS, pa.uint64())) == error(
        65, "column 'time' of DIR/log.parquet holds a number beyond int64 (18446744073709551615), which is no time"
    )


def test_times_that_overflow_in_the_unit_that_was_named(place: Path) -> None:
    with_log(place, time_unit="s")
    assert changed_log(place, time=[10**18] * ROWS) == error(
        65,
        "column 'time' of DIR/log.parquet holds times that are too large for epochs in s;"
        " set time_unit to ms, us or ns",
    )


def test_a_folder_with_a_log_and_a_table_is_no_log(place: Path) -> None:
    (place / "config.yaml").unlink()
    assert refusal(place, "run", place, "-o", place / "out") == error(
        2,
        "DIR/items.parquet has no column 'user_id', so the folder DIR holds more than the parts of one log;"
        " name the log's own file, and the tables of items and users by --items and --users",
    )


def test_one_bad_value_among_numbers_is_found(place: Path) -> None:
    assert changed_log(place, rating=["4"] * 299 + ["x"]) == error(
        65,
        "1 of 300 values of column 'rating' of DIR/log.parquet are no numbers, the first being 'x' in row 300;"
        f" repair them or leave the rows out{WAY_OUT}",
    )


def test_one_column_for_two_things(place: Path) -> None:
    with_log(place, item="user_id")
    assert train(place) == error(
        2,
        'DIR/config.yaml: data.interactions is {"item": "user_id", "path": "log.parquet", "time": "time", …,'
        " but should be different columns for user, item, time and value; 'user_id' stands for two",
    )


def test_a_split_column_that_is_also_the_value(place: Path) -> None:
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "split": {"by": "column", "column": "rating"}}})
    code, err, changed = train(place)
    assert (code, changed) == (2, [])
    assert err.endswith("but should be a split.column of its own; 'rating' is read as something else\n")
