"""Rows of lists that hold what their user has met are counted, whoever else has met it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_jobs.met import met
from rec_export.topk.contract import Seen

ITEMS = 4
items = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=4), min_size=3, max_size=3)
listed = st.lists(st.lists(st.integers(-1, ITEMS - 1), max_size=4), min_size=3, max_size=3)  # -1: not known at all


def lists(users: list[list[int]]) -> Seen:
    """The items of users."""
    flat = np.array([item for user in users for item in user], np.int64)
    return Seen(np.cumsum([0, *map(len, users)]), flat)


@settings(max_examples=50)
@given(listed, items)
def test_is_the_definition(shown: list[list[int]], seen: list[list[int]]) -> None:
    want = sum(item in theirs for mine, theirs in zip(shown, seen, strict=True) for item in mine)
    assert met(lists(shown), lists(seen), np.full(ITEMS + 1, -1, np.int32)) == want
