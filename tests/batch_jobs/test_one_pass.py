"""What one look at the rows finds is what the promises say, one by one."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_jobs.one_pass import one_pass

ITEMS = 6
rows = st.tuples(st.integers(0, 3), st.integers(0, ITEMS - 1), st.sampled_from([0.5, 1.0, math.nan, math.inf]))
lists = st.lists(st.lists(rows, min_size=1, max_size=5), max_size=4)


@settings(max_examples=50)
@given(lists)
def test_is_the_definition(users: list[list[tuple[int, int, float]]]) -> None:
    start = np.cumsum([0, *(len(user) for user in users)])
    rank, item, score = (np.array([row[place] for user in users for row in user]) for place in range(3))
    known, weight = np.arange(1, ITEMS + 1, dtype=np.uint64), np.array([3, 5, 7, 11, 13], np.uint64)
    broken, level = np.zeros(4, np.int64), np.zeros(len(users), np.bool_)
    hashed, times = np.zeros(len(users), np.uint64), np.zeros(ITEMS, np.int64)
    columns = item.astype(np.int32), rank.astype(np.int16), score.astype(np.float32)
    one_pass(start, *columns, known, weight, broken, times, level, hashed)
    assert broken.tolist() == [
        sum(row[0] != place for user in users for place, row in enumerate(user, 1)),
        sum(len(user) - len({row[1] for row in user}) for user in users),
        sum(not math.isfinite(row[2]) for user in users for row in user),
        sum(after[2] > before[2] for user in users for before, after in pairwise(user)),
    ]
    assert times.tolist() == [sum(row[1] == it for user in users for row in user) for it in range(ITEMS)]
    assert level.tolist() == [all(row[2] == user[0][2] for row in user) for user in users]
    assert hashed.tolist() == [
        sum((row[1] + 1) * int(weight[place]) for place, row in enumerate(user)) for user in users
    ]
