"""Sets are what numpy finds by its own way."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.columns import Int64
from rec_export.sets import distinct, in_both, without

EDGES = st.sampled_from([np.iinfo(np.int64).min, np.iinfo(np.int64).max])
NUMBERS = st.lists(st.integers(-3, 25) | EDGES, max_size=60).map(lambda numbers: np.array(numbers, np.int64))


@given(NUMBERS, NUMBERS)
def test_sets_are_those_of_numpy(some: Int64, others: Int64) -> None:
    assert distinct(some).tolist() == np.unique(some).tolist()
    assert without(some, others).tolist() == np.setdiff1d(some, others).tolist()
    assert in_both(some, others).tolist() == np.intersect1d(some, others).tolist()


def test_a_table_of_numbers_is_one_set() -> None:
    assert distinct(np.array([[3, 1], [1, -1]], np.int32)).tolist() == [-1, 1, 3]
