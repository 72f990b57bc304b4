"""The list of seen items: any order, repeats allowed, nothing else."""

import numpy as np
import pytest

from rec_export.topk import Seen, TopK
from rec_export.topk.contract import Allowed, portions


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


def test_pairs_in_any_order_become_lists_and_two_lists_one() -> None:
    one = Seen.of(np.array([2, 0, 2]), np.array([7, 5, 6]), 3)
    assert (one.start.tolist(), one.item_row.tolist()) == ([0, 1, 1, 3], [5, 7, 6])
    both = one.plus(seen([0, 0, 2, 3], [1, 2, 3]))
    assert (both.start.tolist(), both.item_row.tolist()) == ([0, 1, 3, 6], [5, 1, 2, 7, 6, 3])


def test_lists_of_ones_own_follow_the_users_asked_for() -> None:
    taken = Allowed(np.array([False, True, True]), seen([0, 0, 2, 3], [4, 5, 6])).take(np.array([2, 0]))
    assert taken.restricted.tolist() == [True, False]
    assert (taken.items.start.tolist(), taken.items.item_row.tolist()) == ([0, 1, 1], [6])
    assert not Allowed.everything(3).restricted.any()


def test_shorter_lists_are_put_among_longer_ones() -> None:
    top = TopK.none(2, 3)
    top.put(np.array([1]), TopK(np.array([[8, 9]]), np.array([[2.0, 1.0]]), np.array([2])))
    assert (top.item_row.tolist(), top.count.tolist()) == ([[-1, -1, -1], [8, 9, -1]], [0, 2])


@pytest.mark.parametrize("size", [[], [0, 0], [3, 1, 9, 0, 4, 4], [100], [1] * 50])
def test_portions_are_everybody_in_order_and_hold_little(size: list[int]) -> None:
    parts = [part.tolist() for part in portions(np.array(size, np.int64), 5)]
    assert [user for part in parts for user in part] == list(range(len(size)))
    assert all(sum(size[user] for user in part) <= 5 + max(size) for part in parts)
