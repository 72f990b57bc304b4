"""What the columns and lists that rules read mean, whatever types they have."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from batch_jobs.rule_files import Pairs, caps_of, items_of, too_early, too_small, with_values
from rec_export.data.config import DataConfig
from rec_export.data.vocab import Vocab
from rec_export.errors import DataError, UsageError
from rec_export.rules import ItemList, Rules, Value

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
        ([1e20, 2.0], pa.float64(), (10**20,), [True, False]),
        (["1", "a", None, ""], pa.string(), (1, ""), [True, False, False, True]),
        (["a", "b", None], pa.dictionary(pa.int8(), pa.string()), ("b", None), [False, True, True]),
        ([None, None], pa.null(), ("a",), [False, False]),
    ],
)
def test_values_are_found_in_a_column_of_any_type(
    values: list[Any], kind: pa.DataType, wanted: tuple[Value, ...], out: list[bool]
) -> None:
    assert with_values(column(values, kind), wanted, "a rule").tolist() == out


DAYS = [datetime(2026, 1, 1), datetime(2026, 1, 1, 8, 30), None]


@pytest.mark.parametrize(
    ("kind", "wanted", "out"),
    [
        (pa.date32(), "2026-01-01", [True, True, False]),
        (pa.timestamp("s"), "2026-01-01", [True, False, False]),
        (pa.timestamp("ns"), "2026-01-01", [True, False, False]),
        (pa.timestamp("us"), "2026-01-01T08:30", [False, True, False]),
        (pa.timestamp("us"), "2026-01-01 08:30:00Z", [False, True, False]),
        (pa.timestamp("us"), None, [False, False, True]),
        (pa.timestamp("ms", "UTC"), "2026-01-01", [True, False, False]),
        (pa.timestamp("us", "Europe/Berlin"), "2026-01-01 09:30", [False, True, False]),
        (pa.timestamp("us", "Europe/Berlin"), "2026-01-01 08:30Z", [False, True, False]),
    ],
)
def test_a_time_is_that_of_the_columns_zone_and_a_day_is_its_midnight(
    kind: pa.DataType, wanted: Value, out: list[bool]
) -> None:
    assert with_values(column(DAYS, kind), (wanted,), "a rule").tolist() == out


@pytest.mark.parametrize("wanted", [20260101, "1 January", "2026-13-01"])
def test_what_is_no_time_is_a_slip_for_a_column_of_times(wanted: Value) -> None:
    with pytest.raises(UsageError, match=rf"a rule has {wanted!r}, but the column holds timestamp\[us\]; give values"):
        with_values(column(DAYS, pa.timestamp("us")), (wanted,), "a rule")


@pytest.mark.parametrize(
    ("values", "wanted", "said"),
    [
        (["a", "b"], ("a", None), []),
        ([True, True], (False,), []),
        (["a", "b"], ("A", "b", "c"), ["2 of the 3 values of a rule stand in no row of today's items: 'A', 'c'"]),
        ([datetime(2026, 1, 1, 9)], ("2026-01-01",),
         ["1 of the 1 values of a rule stand in no row of today's items: '2026-01-01'"]),
    ],
)  # fmt: skip
def test_a_value_that_leaves_nothing_out_is_told(
    values: list[Any], wanted: tuple[Value, ...], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with_values(column(values), wanted, "a rule")
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == said


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
        ([1, 0, -1], pa.int16(), 0.5, [False, True, True]),
        ([1, 0, -1], pa.int16(), 1e9, [True, True, True]),
        ([1, 0], pa.uint8(), -1e9, [False, False]),
        ([2**53, 2**53 + 1, None], pa.int64(), 2**53 + 1, [True, False, True]),
        (["1.5", "1", None], pa.string(), 1.5, [False, True, True]),
        ([True, False], pa.bool_(), 1, [False, True]),
    ],
)
def test_an_item_has_at_least_so_much_in_the_numbers_of_its_column(
    values: list[Any], kind: pa.DataType, least: float, out: list[bool]
) -> None:
    assert too_small(column(values, kind), least, "a rule").tolist() == out


@pytest.mark.parametrize(
    ("kind", "least", "out"),
    [
        (pa.date32(), "2026-01-01", [False, False, True]),
        (pa.date32(), "2026-01-02", [True, True, True]),
        (pa.timestamp("ns"), "2026-01-01 08:30", [True, False, True]),
        (pa.timestamp("s", "Europe/Berlin"), "2026-01-01T09:30", [True, False, True]),
        (pa.timestamp("us"), "2026-01-01T00:00:01+00:00", [True, False, True]),
        (pa.timestamp("us"), "2 days ago", [True, False, True]),  # before 2026-01-03T08:00Z
        (pa.timestamp("us", "Europe/Berlin"), "2 days ago", [True, False, True]),
        (pa.timestamp("us"), "3 days ago", [False, False, True]),
        (pa.timestamp("us"), "1 day ago", [True, True, True]),
        (pa.timestamp("us"), "99999 days ago", [False, False, True]),
    ],
)
def test_an_item_is_no_older_than_a_time_or_so_many_days(kind: pa.DataType, least: str, out: list[bool]) -> None:
    end = int(datetime(2026, 1, 3, 8, tzinfo=UTC).timestamp()) * 1_000_000
    assert too_early(column(DAYS, kind), least, "a rule", end).tolist() == out


@pytest.mark.parametrize(
    "cells",
    [
        ["2026-01-01", " 2025-12-31", None],
        [1767225600, 1767225599, None],
        [1767225600000.0, 1767225599999.0, float("nan")],
    ],
)
def test_text_and_epochs_of_times_are_read_as_such(cells: list[Any]) -> None:
    assert too_early(column(cells), "2026-01-01", "a rule", 0).tolist() == [0, 1, 1]


def test_a_column_without_a_value_leaves_all_out() -> None:
    assert too_early(column([None, None], pa.null()), "2026-01-01", "a rule", 0).all()


def test_text_that_is_no_time_beside_an_empty_cell_is_one_clear_line() -> None:
    with pytest.raises(
        DataError, match=r"the column of a rule holds text that is no ISO 8601 time \(1 different value\)"
    ):
        too_early(column(["2026-01-01", "unknown", None]), "2026-01-01", "a rule", 0)


def test_a_time_and_a_column_of_numbers_or_the_reverse_are_a_slip() -> None:
    with pytest.raises(UsageError, match="a rule is '3 days ago', but the column holds int64, no times; give a number"):
        too_early(column([1, 2]), "3 days ago", "a rule", 0)
    with pytest.raises(UsageError, match=r"a rule is 7, but the column holds date32\[day\]; give a date such as"):
        too_small(column(DAYS, pa.date32()), 7, "a rule")


@pytest.mark.parametrize("least", ["soon", "14 days", "-1 days ago", float("inf"), [1], True, None, "2026-13-01"])
def test_what_is_no_number_and_no_time_is_one_slip(least: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Rules.model_validate({"minimum": {"stock": least}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("minimum",)
    assert "a finite number for 'stock', or a date such as 2026-11-20, or '14 days ago'" in error["msg"]


def test_kinds_of_several_columns_are_told_apart_and_nothing_is_no_kind() -> None:
    table = pa.table({"brand": ["x", None, "x", "y"], "year": [2001, 2001, None, 7]})
    caps = caps_of({"brand": 2, "year": 3}, table, DataConfig.model_validate({"interactions": {"path": "x"}}))
    assert caps.kind.tolist() == [[0, 2], [-1, 2], [0, -1], [1, 3]]
    assert caps.limit.tolist() == [2, 2, 3, 3]


def test_items_without_a_brand_are_no_brand_of_their_own() -> None:
    for nothing in ("", None):
        table = pa.table({"brand": ["a", nothing, nothing, "a"]})
        caps = caps_of({"brand": 2}, table, DataConfig.model_validate({"interactions": {"path": "x"}}))
        assert (caps.kind.tolist(), caps.limit.tolist()) == ([[0], [-1], [-1], [0]], [2])


def test_ids_of_a_list_are_known_as_text_or_numbers() -> None:
    listed = Rules.of({"deny": [3, "1", "x1"]}, "here").deny
    assert listed is not None
    assert items_of(listed, "rules.deny", Vocab(pa.array([0, 1, 2, 3]))).tolist() == [3, 1, -1]


@pytest.mark.parametrize(("rule", "ids"), [("deny", 9), ("deny", 10), ("allow", 1)])
def test_a_few_denied_items_may_all_be_gone(rule: str, ids: int, caplog: pytest.LogCaptureFixture) -> None:
    listed = ItemList(ids=tuple(f"x{place}" for place in range(ids)) * 2)
    vocab = Vocab(pa.array(["a"]))
    if (rule, ids) == ("deny", 9):
        assert items_of(listed, "rules.deny", vocab).tolist() == [-1] * 18
        assert "18 of the 18 items in rules.deny are in neither the bundle nor today's files" in caplog.text
    else:
        with pytest.raises(DataError, match=rf"none of the {2 * ids} items in rules.{rule} is in the bundle"):
            items_of(listed, f"rules.{rule}", vocab)


def test_who_stands_in_a_list_with_nothing_known_stands_in_it() -> None:
    pairs = Pairs(np.array([2, 0, -1, 2]), np.array([5, -1, 5, 4]))
    assert pairs.named(3).tolist() == [True, False, True]
    assert (pairs.by_user(3).start.tolist(), pairs.by_user(3).item_row.tolist()) == ([0, 0, 0, 2], [5, 4])
    assert pairs.strange.tolist() == [False, True, True, False]
