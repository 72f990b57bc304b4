"""The list of seen items: any order, repeats allowed, nothing else."""

import numpy as np
import pytest

from rec_export.topk import Seen


def seen(start: list[int], item_row: list[int]) -> Seen:
    return Seen(np.array(start), np.array(item_row, np.int64))


def test_take_follows_the_users_asked_for() -> None:
    taken = seen([0, 2, 2, 5], [7, 3, 1, 1, 0]).take(np.array([2, 1, 0]))
    assert taken.start.tolist() == [0, 3, 3, 5]
    assert taken.item_row.tolist() == [1, 1, 0, 7, 3]
    assert taken.user().tolist() == [0, 0, 0, 2, 2]


def test_none_has_nobody_see_anything() -> None:
    assert Seen.none(3).start.tolist() == [0, 0, 0, 0]
    assert Seen.none(3).take(np.array([1, 2])).item_row.tolist() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (seen([0, 1], [0]), "start has 2 numbers for 2 users and 1 items seen"),
        (seen([0, 1, 1], [0, 1]), "start has 3 numbers for 2 users and 2 items seen"),
        (seen([1, 1, 1], [0]), "start has 3 numbers"),
        (seen([0, 2, 1], [0]), "start falls"),
        (seen([0, 1, 1], [4]), "outside the catalogue of 4 items"),
        (seen([0, 1, 1], [-1]), "outside the catalogue of 4 items"),
    ],
)
def test_check_refuses_what_is_no_such_list(wrong: Seen, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong.check(users=2, items=4)
