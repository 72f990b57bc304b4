"""The kinds of a table's columns are told by their types and values."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from rec_export.data.kinds import guess_attributes, kind_of
from rec_export.data.names import ITEM, USER
from tests.conftest import write_table


def test_the_kinds_of_a_table_are_those_a_person_would_choose(tmp_path: Path) -> None:
    n = 40
    path = write_table(
        tmp_path / "items.parquet",
        asin=[f"B{item:04}" for item in range(n)],
        title=[f"a fine red shoe number {item}" for item in range(n)],
        brand=[f"brand {item % 5}" for item in range(n)],
        price=[item / 3 for item in range(n)],
        tags=[["a", "b"]] * n,
        in_stock=[item % 2 == 0 for item in range(n)],
        image=[f"https://example.com/{item}" for item in range(n)],
        row=list(range(n)),
        home_store=[1000 + item % 4 for item in range(n)],
        stock=[item % 7 for item in range(n)],
        pages=[item % 9 for item in range(n)],
        same=["x"] * n,
        empty=[None] * n,
        sku2=[f"K{item}" for item in range(n)],
        colour=pa.array(["red", "blue"] * 20).dictionary_encode(),
        nested=[{"a": 1, "b": 2}] * n,
        released=[date(2020, 1, 1 + item % 28) for item in range(n)],
        broken=[float("inf"), *[1.0] * (n - 1)],
    )
    table = guess_attributes(path, "item_id", ITEM)
    assert table is not None
    assert table.model_dump(include={"id", "dense", "category", "tags", "text"}) == {
        "id": "asin",
        "dense": ("price", "pages"),
        "category": ("brand", "in_stock", "home_store", "colour"),
        "tags": ("tags",),
        "text": ("title",),
    }


def test_cells_joined_by_bars_are_tags(tmp_path: Path) -> None:
    path = write_table(
        tmp_path / "items.parquet", item_id=["a", "b", "c"], genres=["rock|pop", "rock", "pop|jazz|rock"]
    )
    table = guess_attributes(path, "item_id", ITEM)
    assert table is not None
    assert table.tags == ("genres",)


def test_the_id_of_a_table_is_called_as_in_the_log(tmp_path: Path) -> None:
    path = write_table(tmp_path / "users.parquet", user_id=["a"], who=["b"])
    table = guess_attributes(path, "who", USER)
    assert table is not None
    assert table.id == "who"


def test_decimals_are_numbers(tmp_path: Path) -> None:
    price = pa.array([1, 2, 3, 3], pa.decimal128(5, 2))
    write_table(tmp_path / "items.parquet", item_id=[1, 2, 3, 4], price=price)
    found = guess_attributes(tmp_path / "items.parquet", "item_id", ITEM)
    assert found is not None
    assert found.dense == ("price",)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("2026-01-{:02}", None),
        ("2026-01-{:02}T08:30:00+01:00", None),
        (" {}.11.2026", None),
        ("{}/11/2026 08:30", None),
        ("2026/01/{:02}\n", None),
        ("2026-{:02}", None),
        ("1.{}.3", "category"),
        ("2026-{:02}x", "category"),
        ("12.3 left", None),  # the same in every row
        ("12.3.{} left", "category"),
    ],
)
def test_dates_as_text_are_no_category(written: str, kind: str | None) -> None:
    cells = [written.format(1 + row % 9) for row in range(40)]
    assert kind_of(pa.chunked_array([pa.array([*cells, None])]), "since") == kind


@pytest.mark.parametrize(("codes", "kind"), [([1.0, 2.0, None, 2.0], "category"), ([1.5, 2.0, None, 2.0], "dense")])
def test_a_code_with_gaps_is_a_code(codes: list[float | None], kind: str) -> None:
    assert kind_of(pa.chunked_array([pa.array(codes, pa.float64())]), "brand_id") == kind
