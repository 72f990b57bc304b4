"""Attributes of today take the place of those of the training, in whichever type they come."""

import pyarrow as pa
import pytest

from rec_export.catalogue import alike

LONG = 2**60 + 1  # which no float holds


@pytest.mark.parametrize(
    ("today", "before", "together"),
    [
        (pa.array([1.5, None]), pa.array([1, 2]), [1.5, None, 1.0, 2.0]),
        (pa.array([7.0, None]), pa.array([LONG, 2]), [7, None, LONG, 2]),
        (pa.array([7], pa.int32()), pa.array([LONG]), [7, LONG]),
        (pa.nulls(2), pa.array([LONG, 2]), [None, None, LONG, 2]),
        (pa.array([LONG]), pa.nulls(1), [LONG, None]),
        (pa.nulls(1), pa.array([["a"]]), [None, ["a"]]),
        (pa.array(["a|b"]), pa.array([["c"]]), [["a", "b"], ["c"]]),
        (pa.array([5]), pa.array(["five"]), ["5", "five"]),
    ],
)
def test_columns_of_two_types_are_put_in_one_that_holds_both(
    today: pa.Array, before: pa.Array, together: list[object]
) -> None:
    one, other = alike(today, before, "|")
    assert one.type == other.type
    assert [*one.to_pylist(), *other.to_pylist()] == together
