"""Features are learned from the training part alone, kept without pickle, and applied to what was never seen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.config import Attributes, Interactions
from rec_export.data.entities import aligned
from rec_export.data.features import Features, FeatureState
from rec_export.data.vocab import UNKNOWN, Vocab
from tests.conftest import contents

SOURCE = Attributes(
    path=Path("made-up"),
    id="id",
    dense=("price",),
    category=("brand",),
    tags=("tags",),
    text=("title", "more"),
    text_dim=3,
)
TRAINED: dict[str, Any] = {
    "id": ["a", "b", "c", "d", "e", "f"],
    "price": [1.0, None, 3.0, 100.0, 5.0, float("nan")],
    "brand": ["x", "x", "y", "y", "rare", None],
    "tags": [["p", "q"], ["q"], [], None, ["p", "q", "once"], ["q"]],
    "title": ["red shoe", "red shoe", "blue hat", "blue hat", "", None],
    "more": ["new", None, "new", "", "new", None],
}


def fitted() -> FeatureState:
    """What is learned of the six rows."""
    return FeatureState.fit(pa.table(TRAINED), SOURCE)


def encoded(**columns: Any) -> Features:
    """One row in the eyes of the six, all of it missing but for some columns."""
    nothing = {
        "price": pa.nulls(1, pa.float64()),
        "brand": pa.nulls(1, pa.string()),
        "tags": [None],
        "title": [""],
        "more": [""],
    }
    return fitted().encode(pa.table({**nothing, **columns}))


def same(one: Features, other: Features) -> bool:
    """Whether two are equal, NaN being NaN."""
    numbers = zip((one.dense, one.text), (other.dense, other.text), strict=True)
    rows = zip((one.category, one.tags), (other.category, other.tags), strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in numbers) and all(np.array_equal(a, b) for a, b in rows)


def test_the_state_says_what_stands_in_the_training_rows() -> None:
    state = fitted().state
    assert state.dense["price"].median == 4.0
    logs = np.log1p([1, 3, 100, 5])
    assert (state.dense["price"].mean, state.dense["price"].std) == pytest.approx((logs.mean(), logs.std()))
    assert state.category == {"brand": ("x", "y")}
    assert state.tags == ("tags=p", "tags=q")
    assert state.tag_places == 3
    assert "red shoe" in state.words


def test_every_kind_is_encoded() -> None:
    got = fitted().encode(pa.table(TRAINED))
    np.testing.assert_array_equal(got.dense[:, 0], np.array([1, np.nan, 3, 100, 5, np.nan], np.float32))
    assert got.category[:, 0].tolist() == [0, 0, 1, 1, UNKNOWN, UNKNOWN]
    assert got.tags.tolist() == [[0, 1, -1], [1, -1, -1], [-1] * 3, [-1] * 3, [0, 1, -1], [1, -1, -1]]
    lengths = np.linalg.norm(got.text, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 1, 0], atol=1e-6)


def test_what_was_never_seen_is_unknown_and_not_an_error() -> None:
    got = encoded(brand=["z"], tags=[["never", "q"]], title=["völlig neu"], price=[-7.0])
    expected = Features(
        np.array([[-7]], np.float32),
        np.array([[UNKNOWN]]),
        np.array([[1, UNKNOWN, UNKNOWN]]),
        np.zeros((1, 3), np.float32),
    )
    assert same(got, expected)


def test_texts_that_share_words_are_near() -> None:
    text = fitted().encode(pa.table(TRAINED)).text
    mine = encoded(title=["a RED shoe!"]).text[0]
    assert mine @ text[1] > mine @ text[2]


def test_the_same_words_in_other_scripts_are_words() -> None:
    table = pa.table({**TRAINED, "title": ["赤い 靴", "赤い 靴", "голубая шляпа", "голубая шляпа", "", None]})
    assert {"赤い", "голубая шляпа"} <= set(FeatureState.fit(table, SOURCE).state.words)


@pytest.mark.parametrize("title", [[""] * 6, [None] * 6, ["one"] + [""] * 5, list("abcdef")])
def test_texts_that_say_nothing_give_no_dimensions(title: list[str | None]) -> None:
    table = pa.table({**TRAINED, "title": pa.array(title, pa.string()), "more": [""] * 6})
    state = FeatureState.fit(table, SOURCE)
    assert (state.encode(table).text.shape, state.sizes(6).text) == ((6, 0), 0)


@pytest.mark.parametrize(
    "cells", [["a|b", "", "", None, "b|a", ""], [["a", "b"], [""], [""], None, ["b", "a"], [None]]]
)
def test_an_empty_cell_is_no_tag(cells: list[object]) -> None:
    state = FeatureState.fit(pa.table({**TRAINED, "tags": pa.array(cells)}), SOURCE)
    assert state.state.tags == ("tags=a", "tags=b")
    assert state.encode(pa.table({**TRAINED, "tags": pa.array(cells)})).tags[1].tolist() == [-1, -1]


def test_an_empty_category_is_missing_and_learned_as_nothing() -> None:
    table = pa.table({**TRAINED, "brand": ["", "", "y", "y", "", None]})
    state = FeatureState.fit(table, SOURCE)
    assert state.state.category["brand"] == ("y",)
    assert state.category_rows(table)[:, 0].tolist() == [UNKNOWN, UNKNOWN, 0, 0, UNKNOWN, UNKNOWN]


def test_long_numbers_that_an_earlier_version_learned_are_known(tmp_path: Path) -> None:
    keys = [12345678901.0, 12345678901.0, 2.0, 2.0, None, None]
    state = FeatureState.fit(pa.table({**TRAINED, "brand": keys}), SOURCE)
    before = state.state.model_copy(update={"category": {"brand": ("1.2345678901e+10", "2")}})
    FeatureState(before, state.idf, state.directions).write(tmp_path, "items")
    again = FeatureState.read(tmp_path, "items").category_rows(pa.table({**TRAINED, "brand": keys}))
    assert again[:, 0].tolist() == [0, 0, 1, 1, UNKNOWN, UNKNOWN]


MANY_WAYS = {
    "brand": ["7", " 7", "7.0", "7.5", "x ", "x"],
    "tags": ["Action | Comedy", "Comedy|Action", "1.0", "1", "", None],
}


def test_a_category_and_a_tag_are_the_same_however_they_are_written() -> None:
    table = pa.table({**TRAINED, **MANY_WAYS})
    state = FeatureState.fit(table, SOURCE)
    assert state.state.category["brand"] == ("7", "x")
    assert state.category_rows(table)[:, 0].tolist() == [0, 0, 0, UNKNOWN, 1, 1]
    assert state.state.tags == ("tags=1", "tags=Action", "tags=Comedy")
    assert state.tag_rows(table).tolist() == [[1, 2], [2, 1], [0, -1], [0, -1], [-1, -1], [-1, -1]]
    numbers = pa.table({**TRAINED, "brand": [7.0, 7.5, None, 7.0, 7.0, 7.0]})
    assert state.category_rows(numbers)[:, 0].tolist() == [0, UNKNOWN, UNKNOWN, 0, 0, 0]
    truths = pa.table({**TRAINED, "brand": ["True", "TRUE", "true", "False", "false", "no"]})
    assert FeatureState.fit(truths, SOURCE).state.category["brand"] == ("false", "true")


def test_what_an_earlier_version_learned_is_looked_up_as_it_was_written_then(tmp_path: Path) -> None:
    table = pa.table({**TRAINED, **MANY_WAYS})
    state = FeatureState.fit(table, SOURCE)
    state.write(tmp_path, "items")
    before = json.loads((tmp_path / "items.json").read_text()) | {"tags": ["tags= Comedy", "tags=Action "]}
    del before["spelled"]
    (tmp_path / "items.json").write_text(json.dumps(before))
    again = FeatureState.read(tmp_path, "items")
    assert again.category_rows(table)[:, 0].tolist() == [0, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 1]
    assert again.tag_rows(table).tolist() == [[1, 0], *[[-1, -1]] * 5]


def test_a_long_bag_keeps_its_first_tags() -> None:
    table = pa.table({**TRAINED, "tags": [[f"t{tag:02}" for tag in range(50)]] * 6})
    state = FeatureState.fit(table, SOURCE)
    assert state.encode(table).tags[0].tolist() == list(range(32))


def test_the_state_is_written_and_read_whole(tmp_path: Path) -> None:
    fitted().write(tmp_path, "items")
    again = FeatureState.read(tmp_path, "items")
    table = pa.table(TRAINED)
    assert same(again.encode(table), fitted().encode(table))
    assert again.state == fitted().state
    again.write(tmp_path, "again")
    files = contents(tmp_path)
    assert files["again.json"] == files["items.json"]
    assert files["again.safetensors"] == files["items.safetensors"]


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(
    title=st.lists(st.none() | CELL, min_size=6, max_size=6),
    tag=st.lists(CELL, max_size=4),
    price=st.floats(-1e30, 1e30) | st.none(),
)
def test_any_text_and_number_can_be_learned_and_encoded(
    title: list[str | None], tag: list[str], price: float | None
) -> None:
    table = pa.table({
        **TRAINED, "title": pa.array(title, pa.string()), "tags": [tag] * 6, "brand": pa.array(title, pa.string()),
        "price": [1.0, *[price] * 5],
    })  # fmt: skip
    got = FeatureState.fit(table, SOURCE).encode(table)
    assert np.isfinite(got.text).all()
    assert (got.category < len(set(title))).all()
    assert len(got.dense) == len(got.tags) == 6


def test_a_table_without_attributes_has_no_features() -> None:
    state = FeatureState.fit(pa.table({"id": ["a", "b"]}), None)
    assert [column.shape for column in state.encode(pa.table({"id": ["a", "b", "c"]}))] == [(3, 0)] * 4


def test_attributes_are_put_into_the_order_of_the_vocabulary() -> None:
    table = aligned(Vocab(pa.array(["c", "new", "a"])), pa.table(TRAINED).select(["id", "brand"]), "item")
    assert table.to_pydict() == {"item": ["c", "new", "a"], "brand": ["y", None, "x"]}


def test_rows_that_are_not_trained_on_do_not_change_what_is_learned(tmp_path: Path) -> None:
    from rec_export.data.config import DataConfig, Split
    from rec_export.data.source import Source
    from rec_export.data.split import Part
    from tests.conftest import write_table
    from trainers.dataset import Dataset

    def states(held_out: str, brand: str, price: float) -> list[FeatureState]:
        items = {**TRAINED, "brand": ["x", "x", "y", "y", brand, brand], "price": [1.0, 2.0, 3.0, 4.0, price, price]}
        write_table(tmp_path / "items.parquet", **items)
        items_met = ["a", "b", "c", "d", held_out, held_out]
        write_table(
            tmp_path / "log.parquet", user_id=list("uvuvuv"), item_id=items_met, part=["train"] * 4 + ["valid", "test"]
        )
        log = Interactions(path=tmp_path / "log.parquet")
        table = SOURCE.model_copy(update={"path": tmp_path / "items.parquet"})
        source = Source.read(DataConfig(interactions=log, items=table, split=Split(by="column", column="part")))
        catalogue = Dataset.of(source, source.rows(Part.TRAIN)).catalogue
        assert catalogue.items.trained == 4
        return [catalogue.items.state, catalogue.users.state]

    one, other = states("e", "rare", 5.0), states("f", "x", 1e6)
    for a, b in zip(one, other, strict=True):
        assert a.state == b.state
        np.testing.assert_array_equal(a.idf, b.idf)
        np.testing.assert_array_equal(a.directions, b.directions)
