"""A CSV file that is written in another way than the one that is read is told which."""

from pathlib import Path

import pytest

from tests.bad_input.conftest import error
from tests.conftest import refusal


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_csv_file_without_commas(mark: str, place: Path) -> None:
    (place / "log.csv").write_text(f"user_id{mark}item_id\n1{mark}2\n")
    assert refusal(place, "run", place / "log.csv", "-o", place / "out") == error(
        65,
        f"the columns of DIR/log.csv are separated by {mark!r}; write it with commas between columns, and with points"
        " in numbers (4.5, not 4,5)",
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("user_id;item_id;rating\n1;2;4,5\n", "the columns of DIR/log.csv are separated by ';'; write it with commas"),
        (
            "user_id,item_id,rating\n1,2,4\n1,2,4,5\n",
            "row 3 (the header is row 1) of DIR/log.csv has 4 columns where the header has 3: 1,2,4,5;",
        ),
        ('user_id,item_id,rating\n1,2,"4,5"\n', "1 of 1 values of column 'rating' of DIR/log.csv are no numbers,"),
    ],
)
def test_decimal_commas_are_called_what_they_are(rows: str, sentence: str, place: Path) -> None:
    (place / "log.csv").write_text(rows)
    code, err, changed = refusal(place, "run", place / "log.csv", "-o", place / "out")
    assert (code, err.startswith(f"Error: {sentence}"), "4.5" in err, changed) == (65, True, True, [])


def test_text_that_is_not_utf8(place: Path) -> None:
    (place / "items.csv").write_bytes("item_id,title\ni1,caf\xe9\ni2,th\xe9\n".encode("latin-1"))
    assert refusal(place, "run", place / "log.parquet", "--items", place / "items.csv", "-o", place / "out") == error(
        65, "column 'title' of DIR/items.csv is not UTF-8 text; write the file in UTF-8"
    )


def test_a_column_that_stands_twice_in_a_csv_file(place: Path) -> None:
    (place / "log.csv").write_text("user_id,item_id,user_id\n1,2,3\n")
    assert refusal(place, "run", place / "log.csv", "-o", place / "out") == error(
        65, "2 columns of DIR/log.csv are called 'user_id'; rename or remove one"
    )
