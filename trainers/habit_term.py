"""The numbers of a habit's term (rec_export/habit.py), as what users did next makes them likeliest.

Among the held-out rows a user chose some items, new or not: by the model's score times a scale, and the term for what
the user has liked before (trainers/chances.py).
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rec_export.checkpoint import modules
from rec_export.data.columns import Int64
from rec_export.habit import Again, Habit
from rec_export.progress import passed
from rec_export.towers import Towers
from trainers.batches import Device
from trainers.chances import Chances, Own
from trainers.habits import everything, ordered
from trainers.validation import ListValidation

log = logging.getLogger("rec_export")
FEWEST = 50  # choices of what was liked before


def told_of(again: Again) -> Own:
    """What the term is made of: met, often and lately, each to be weighed."""
    return Own(again.items, np.column_stack([np.ones(len(again.times)), np.log(again.times), -np.log1p(again.days)]))


def likeliest(chances: Chances) -> Habit:
    """The habit that makes choices likeliest, by one score and by `told_of`; without days its last number stays 0."""
    scale, *numbers = chances.likeliest()
    met, often, lately = (float(f"{number / scale:.6g}") for number in numbers)
    return Habit(met=met, often=often, lately=lately)


class Habits(NamedTuple):
    """What was learned of habits, if anything, and how lists are with it."""

    habit: Habit | None = None
    held_out: dict[str, dict[str, float]] = {}  # noqa: RUF012, never changed; by "model", "without", "habit", "popular"


@torch.no_grad()
def habits_of(towers: Towers, lists: ListValidation, state: Device) -> Habits:
    """The habit that fits towers from the CPU; none where too few held-out likings are of what was liked before."""
    modules(towers).to(state.device).eval()
    habits = fitted(lists, lists.scores(towers, state))
    modules(towers).cpu()
    return habits


def fitted(lists: ListValidation, score: Callable[[Int64], Tensor]) -> Habits:
    """The same by scores float32 [B, N] of users int64 [B]."""
    chances = Chances.of(lists, [score], lambda user: told_of(lists.world.again(user)))
    passed()
    again, likings = int(chances.told[1, chances.chosen].sum()), len(chances.chosen)
    share = f"of {likings:,} held-out likings {again:,} ({again / likings:.0%}) are of what was liked before"
    if again < FEWEST:
        log.info("%s: too few to learn habits from", share)
        return Habits()
    habit = likeliest(chances)
    passed()

    def with_habit(user: Int64) -> Tensor:
        mine, found = lists.world.again(user), score(user)
        found[mine.items.user(), mine.items.item_row] += torch.from_numpy(habit.added(mine).term)
        return found

    log.info("%s; to the score of such is added %s", share, habit.formula)
    ways = {"model": with_habit, "without": score, "habit": by_habit(lists)}
    return Habits(habit, {name: lists.judge(way) for name, way in ways.items()} | lists.beside())


def by_habit(lists: ListValidation) -> Callable[[Int64], Tensor]:
    """What each user has liked most often, then the newest, then what is popular of late; after them popular items."""
    world, trend = everything(lists.dataset.timeline), lists.world.trend()[lists.ranked, lists.recent]
    popular = torch.from_numpy(np.argsort(np.argsort(trend)) / len(trend)).float()  # below 1

    def score(user: Int64) -> Tensor:
        again, found = world.again(user), popular.repeat(len(user), 1)
        order = ordered(again, trend)
        found[again.items.user()[order], again.items.item_row[order]] = torch.arange(len(order), 0, -1).float()
        return found

    return score
