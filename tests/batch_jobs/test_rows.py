"""Lists as rows are the lists, one after another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_jobs.rows import Rows
from rec_export.topk.contract import TopK

ITEMS, K = 5, 3
lists = st.lists(st.lists(st.permutations(range(ITEMS)).map(lambda items: items[:K]), max_size=3), max_size=3)


@settings(max_examples=50)
@given(lists, st.lists(st.integers(0, K), min_size=9, max_size=9))
def test_is_the_definition(blocks: list[list[list[int]]], sizes: list[int]) -> None:
    users = sum(map(len, blocks))
    rng = np.random.default_rng(0)
    number, numbers = rng.integers(0, 1 << 62, users), rng.integers(0, 1 << 62, ITEMS)
    source, tops, first = np.arange(users, dtype=np.int8) % 3, [], 0
    for block in blocks:
        item_row = np.array(block, np.int64).reshape(len(block), K)
        count = np.array(sizes[first : first + len(block)], np.int64)
        tops.append(TopK(item_row, -item_row / 3, count))
        first += len(block)
    found = Rows.of(tops, source, number, numbers)
    want = [
        (number[user], rank, numbers[item], np.float32(-item / 3), source[user])
        for user, items in enumerate(one for block in blocks for one in block)
        for rank, item in enumerate(items[: sizes[user]], 1)
    ]
    assert list(zip(*found, strict=True)) == want


@pytest.mark.parametrize("row", [-1, ITEMS])
def test_a_list_that_holds_no_item_is_not_written(row: int) -> None:
    top = TopK(np.array([[1, row]]), np.zeros((1, 2)), np.array([2]))
    with pytest.raises(ValueError, match=r"outside of 0\.\.4"):
        Rows.of([top], np.zeros(1, np.int8), np.zeros(1, np.int64), np.zeros(ITEMS, np.int64))
