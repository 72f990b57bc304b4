"""Counting past what was met is looking through a list of what was not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainers.unmet import unmet


@given(items=st.integers(1, 30), data=st.data())
def test_an_item_at_a_place_is_that_of_the_list_of_the_others(items: int, data: st.DataObject) -> None:
    met = np.array(data.draw(st.lists(st.integers(0, items - 1))), np.int64)
    others = np.setdiff1d(np.arange(items), met)
    assert unmet(met, np.arange(len(others))).tolist() == others.tolist()
