"""What is wrong with the table of items is said in one line that names the column."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bad_input.conftest import (
    ITEMS,
    LOG,
    ROWS,
    SECTIONS,
    TABLE,
    changed_items,
    changed_log,
    error,
)
from tests.conftest import config_file


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        (
            "price",
            ["dear"] * ITEMS,
            "20 of 20 values of @ are no numbers, the first being 'dear' in row 1; repair them or leave the rows out",
        ),
        (
            "price",
            [1.0, math.inf, -math.inf, *[1.0] * 17],
            "2 of 20 values of @ are infinite, the first in row 2; make them missing instead",
        ),
        ("brand", [["a"]] * ITEMS, "holds list<element: string> where one word is needed; declare it under tags"),
        ("title", [{"a": 1}] * ITEMS, "holds struct<a: int64> where one word is needed; declare it under tags"),
        ("tags", [{"a": 1}] * ITEMS, "holds struct<a: int64>, which cannot be read as tags; tags are lists of strings"),
        (
            "item_id",
            ["i1"] * 3 + [f"i{item}" for item in range(3, 19)] + ["i3"],
            "2 ids stand more than once in @, the first being 'i1'; keep one row of each",
        ),
    ],
)
def test_a_column_of_the_items_that_cannot_be_used(column: str, values: Any, sentence: str, place: Path) -> None:
    where = f"column '{column}' of DIR/items.parquet"
    whole = sentence.replace("@", where) if "@" in sentence else f"{where} {sentence}"
    assert changed_items(place, **{column: values}) == error(65, whole)


def test_items_without_an_id(place: Path) -> None:
    assert changed_items(place, item_id=[None, *[f"i{item}" for item in range(1, ITEMS)]]) == error(
        65, "1 of 20 rows of DIR/items.parquet have no item_id; give them ids or leave them out"
    )


@pytest.mark.parametrize("price", [[None] * ITEMS, [math.nan] * ITEMS])
def test_a_dense_column_that_is_all_missing(price: list[float | None], place: Path) -> None:
    assert changed_items(place, price=price) == error(
        65,
        "column 'price' has no value in the training part; leave it out of 'dense', or check that the table's ids are"
        " those of the log",
    )


def test_missing_features_and_texts_that_are_all_alike_are_no_error(place: Path) -> None:
    titles = ["red shoe"] * 18 + ["", None]
    some = {"price": [math.nan, None, *[2.0] * 18], "brand": [None, *["a"] * 19], "tags": [None, *[["x"]] * 19]}
    assert changed_items(place, title=titles, **some)[:2] == (0, "")


def test_items_whose_ids_are_of_another_kind_than_those_of_the_log(place: Path) -> None:
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "items": TABLE}})
    assert changed_log(place, item_id=np.random.default_rng(0).integers(0, 20, ROWS)) == error(
        65,
        "none of the 20 ids in DIR/log.parquet, such as 17, is in column 'item_id' of DIR/items.parquet, such as 'i0';"
        " check that they are ids of the same kind",
    )
