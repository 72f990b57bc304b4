"""What the columns and lists that rules read mean, whatever types they have."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batch_jobs.rule_files import Pairs, caps_of, items_of, too_small, with_values
from rec_export.data.config import DataConfig
from rec_export.data.vocab import Vocab
from rec_export.errors import UsageError
from rec_export.rules import Rules, Value

BIG = 2**60 + 1  # which no float64 is


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    """A column of today's items."""
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "kind", "wanted", "out"),
    [
        ([True, False, None], pa.bool_(), (True,), [True, False, False]),
        ([True, False, None], pa.bool_(), (False, None), [False, True, True]),
        ([1, 0, None], pa.int8(), (1, 300), [True, False, False]),
        ([BIG, BIG - 1], pa.int64(), (BIG,), [True, False]),
        ([0.1, float("nan"), 2.0], pa.float32(), (0.1, 2), [True, False, True]),
        ([0.1, float("nan"), None], pa.float64(), (0.1, None), [True, True, True]),
        (["1", "a", None, ""], pa.string(), (1, ""), [True, False, False, True]),
        (["a", "b", None], pa.dictionary(pa.int8(), pa.string()), ("b", None), [False, True, True]),
        ([None, None], pa.null(), ("a",), [False, False]),
    ],
)
def test_values_are_found_in_a_column_of_any_type(
    values: list[Any], kind: pa.DataType, wanted: tuple[Value, ...], out: list[bool]
) -> None:
    assert with_values(column(values, kind), wanted, "a rule").tolist() == out


@pytest.mark.parametrize(
    ("values", "wanted"), [([True], 1), ([1], True), ([1], 1.5), ([1], "1"), ([0.5], True), (["a"], True)]
)
def test_a_value_of_another_kind_is_a_slip(values: list[Any], wanted: Value) -> None:
    with pytest.raises(UsageError, match=rf"a rule has {wanted!r}, but the column holds \w+; give values of that kind"):
        with_values(column(values), (wanted,), "a rule")


@pytest.mark.parametrize(
    ("values", "kind", "least", "out"),
    [
        ([0.7, 0.69, None, float("nan")], pa.float64(), 0.7, [False, True, True, True]),
        ([0.7, 0.69], pa.float32(), 0.7, [False, True]),
        ([1, 0, None, -1], pa.int16(), 1, [False, True, True, True]),
        (["1.5", "1", None], pa.string(), 1.5, [False, True, True]),
        ([True, False], pa.bool_(), 1, [False, True]),
    ],
)
def test_an_item_has_at_least_so_much_in_the_numbers_of_its_column(
    values: list[Any], kind: pa.DataType, least: float, out: list[bool]
) -> None:
    assert too_small(column(values, kind), least, "a rule").tolist() == out


def test_kinds_of_several_columns_are_told_apart_and_nothing_is_no_kind() -> None:
    table = pa.table({"brand": ["x", None, "x", "y"], "year": [2001, 2001, None, 7]})
    caps = caps_of({"brand": 2, "year": 3}, table, DataConfig.model_validate({"interactions": {"path": "x"}}))
    assert caps.kind.tolist() == [[0, 2], [-1, 2], [0, -1], [1, 3]]
    assert caps.limit.tolist() == [2, 2, 3, 3]


def test_ids_of_a_list_are_known_as_text_or_numbers() -> None:
    listed = Rules.of({"deny": [3, "1", "x1"]}, "here").deny
    assert listed is not None
    assert items_of(listed, "rules.deny", Vocab(pa.array([0, 1, 2, 3]))).tolist() == [3, 1, -1]


def test_who_stands_in_a_list_with_nothing_known_stands_in_it() -> None:
    pairs = Pairs(np.array([2, 0, -1, 2]), np.array([5, -1, 5, 4]))
    assert pairs.named(3).tolist() == [True, False, True]
    assert (pairs.by_user(3).start.tolist(), pairs.by_user(3).item_row.tolist()) == ([0, 0, 0, 2], [5, 4])
    assert pairs.strange.tolist() == [False, True, True, False]
