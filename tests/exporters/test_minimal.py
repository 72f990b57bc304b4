"""A call that shows a fault is cut down to what it takes to show it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporters.cases import Arrays
from exporters.minimal import ddmin, minimal
from rec_export.towers import Input

PORTS = (
    Input(name="row", dtype="int64", shape=("B",)),
    Input(name="history", dtype="int64", shape=("B", "L"), pad=-1),
    Input(name="dense", dtype="float32", shape=("B", 3)),
)


def inputs() -> Arrays:
    """A batch of many rows."""
    random = np.random.default_rng(0)
    history = random.integers(0, 50, (64, 9))
    return {"row": np.arange(64), "history": history, "dense": random.normal(size=(64, 3)).astype(np.float32)}


@given(st.sets(st.integers(0, 99), min_size=1, max_size=6))
def test_what_is_needed_together_is_all_that_stays(needed: set[int]) -> None:
    assert set(ddmin(list(range(100)), lambda part: needed <= set(part))) == needed


@given(st.integers(0, 99))
def test_one_among_many_is_found_in_few_questions(needed: int) -> None:
    asked: list[list[int]] = []
    ddmin(list(range(100)), lambda part: asked.append(part) or needed in part)  # type: ignore[func-returns-value]
    assert len(asked) < 20


def test_a_fault_of_one_value_leaves_one_row_of_one_place_in_which_nothing_else_is_told() -> None:
    batch = inputs()
    batch["history"][41, 5] = 777
    found = minimal(batch, PORTS, lambda tried: 777 in tried["history"])
    assert np.isnan(found["dense"]).all()
    assert (found["row"].tolist(), found["history"].tolist()) == ([-1], [[777]])


def test_a_fault_of_two_rows_together_keeps_both() -> None:
    found = minimal(inputs(), PORTS, lambda tried: {3, 60} <= set(tried["row"].tolist()))
    assert (sorted(found["row"].tolist()), found["history"].shape) == ([3, 60], (2, 1))


def test_it_ends_when_no_question_is_left() -> None:
    asked = []
    found = minimal(inputs(), PORTS, lambda tried: asked.append(tried) or 41 in tried["row"], calls=4)  # type: ignore[func-returns-value]
    assert len(asked) == 4
    assert 41 in found["row"]
    assert len(found["row"]) < 64
