"""Eight dot products at once have the bits of one after the other."""

from functools import reduce
from operator import add, mul

import numpy as np
import pytest

from rec_export.topk.definition import score_pairs
from rec_export.topk.form import form_of
from rec_export.towers import DotHead


@pytest.mark.parametrize("width", [1, 7, 8, 9, 16, 64, 67, 130])
@pytest.mark.parametrize("layout", ["rows", "columns", "every second"])
def test_sums_run_from_left_to_right_whatever_the_width_and_the_number_of_pairs(width: int, layout: str) -> None:
    random = np.random.default_rng(width)
    user_vec, item_vec = (random.standard_normal((rows, width)).astype(np.float32) for rows in (19, 40))
    laid = {"rows": item_vec, "columns": np.asfortranarray(item_vec), "every second": item_vec.repeat(2, 0)[::2]}
    pairs = np.arange(19)  # of each user
    start = np.concatenate([[0], np.cumsum(pairs)])
    item_row = random.integers(0, 40, start[-1])
    form = form_of(DotHead(), width)
    assert form is not None
    got = score_pairs(form, user_vec, laid[layout], start, item_row)
    users, items = (
        vec.astype(float).tolist() for vec in (user_vec[np.repeat(np.arange(19), pairs)], item_vec[item_row])
    )
    assert got.tolist() == [reduce(add, map(mul, *pair), 0.0) for pair in zip(users, items, strict=True)]
