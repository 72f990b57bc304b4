"""What is added to the score of what a user has liked before."""

import math

import numpy as np
import pytest

from rec_export.habit import Again, Habit
from rec_export.topk import Seen

AGAIN = Again(Seen(np.array([0, 2, 2, 3]), np.array([4, 7, 1])), np.array([1, 3, 20]), np.array([0.0, 6.5, 300.0]))


def test_the_term_grows_with_the_times_and_falls_with_the_days() -> None:
    habit = Habit(met=2.0, often=1.5, lately=0.25)
    wanted = [2.0, 2.0 + 1.5 * math.log(3) - 0.25 * math.log(7.5), 2.0 + 1.5 * math.log(20) - 0.25 * math.log(301)]
    assert habit.term(AGAIN).tolist() == pytest.approx(wanted, rel=1e-15)
    added = habit.added(AGAIN)
    assert added.items is AGAIN.items
    assert (added.term == np.array(wanted).astype(np.float32)).all()


def test_some_of_the_pairs_stay_with_their_users() -> None:
    some = AGAIN.where(np.array([False, True, True]))
    assert (some.items.start.tolist(), some.items.item_row.tolist()) == ([0, 1, 1, 2], [7, 1])
    assert (some.times.tolist(), some.days.tolist()) == ([3, 20], [6.5, 300.0])


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        (Habit(met=2.95216, often=1.10899, lately=0.2293), "2.95 + 1.11 log(times) - 0.229 log(1 + days)"),
        (Habit(met=-1.0, often=-0.5, lately=-2.0), "-1 - 0.5 log(times) + 2 log(1 + days)"),
        (Habit(met=1.0, often=0.5), "1 + 0.5 log(times)"),
    ],
)
def test_the_term_is_said_as_a_sum(habit: Habit, said: str) -> None:
    assert habit.formula == said
