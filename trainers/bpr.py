"""Bayesian personalised ranking, one liking after another: the trainer of `bpr`. An epoch passes over all likings."""

import math
from typing import Any, final

import numpy as np
import torch

from rec_export.data.times import DAY
from rec_export.errors import TrainingError
from rec_export.models.bpr import ItemFactors, Spec, UserFactors
from rec_export.progress import track
from rec_export.towers import ModelSpec, Sizes, Towers
from rec_export.world import Timeline
from trainers.batches import Device
from trainers.course import Course
from trainers.dataset import Dataset
from trainers.examples import LIKED_ONCE, alike, worth
from trainers.journal import Tensors
from trainers.pairwise import Likings, Tables, learn
from trainers.parallel import Group
from trainers.plan import Plan

PORTION = 1 << 20  # likings between two signs of progress
START = 0.01  # the sum of squares of each row at first, so that one tiny gradient does not make for a huge rate


@final
class BprRun(Course):
    """Factors on their way, on the CPU, by one thread: the same seed gives the same weights."""

    def __init__(self, spec: ModelSpec, sizes: Sizes, dataset: Dataset, plan: Plan, group: Group) -> None:
        assert isinstance(spec, Spec)
        torch.manual_seed(plan.seed)
        self.rng = np.random.default_rng(plan.seed)
        world = dataset.timeline.as_of(None, plan.clock)
        held = Device(dataset, spec, sizes, [world], plan.recent, torch.device("cpu"))
        if len(dataset.timeline.item_row) == 0:
            raise TrainingError("nobody likes anything, so there is nothing to learn; check data.interactions.positive")
        # Before there are tables beside what it sorts.
        self.likings = likings_of(dataset.timeline, plan.recency, plan.by_value)
        super().__init__(plan, held, spec.build(sizes), group)
        self.decay = np.float32(spec.held_back(sizes))
        self.tables = tables_of(self.towers)

    def epoch(self, number: int) -> float:
        """A step for each liking, in a new order; the mean loss. Raises TrainingError when it is not finite."""
        order = np.arange(len(self.likings.user), dtype=np.int32)
        self.rng.shuffle(order)
        portions = range(0, len(order), PORTION)
        rate, total = np.float32(self.plan.lr), 0.0
        for first in track(portions, len(portions), f"epoch {number}"):
            key, part = self.rng.integers(2**64, dtype=np.uint64), order[first : first + PORTION]
            total += learn(self.tables, self.likings, part, self.plan.reject, rate, self.decay, key)
        if not math.isfinite(total):
            raise TrainingError(
                f"the loss is {total} in epoch {number}; the learning rate ({self.plan.lr:g}) is probably too high,"
                " or a value in the data is beyond reason"
            )
        return round(total / len(order), 5)

    def state(self) -> tuple[dict[str, Any], Tensors]:
        """The tables and the generator of random numbers."""
        tensors = {name: torch.from_numpy(table) for name, table in self.tables._asdict().items()}
        return {"random": self.rng.bit_generator.state}, tensors

    def restore(self, state: dict[str, Any], tensors: Tensors) -> None:
        """The same, put back."""
        for name, table in self.tables._asdict().items():
            table[:] = tensors[name].numpy()
        self.rng.bit_generator.state = state["random"]

    def passed(self, loss: float, held_out: dict[str, float]) -> None:
        """Adagrad's rates fall by themselves."""

    @torch.no_grad()
    def evaluated(self) -> Towers:
        """The towers as they are; an item that nobody liked yet stands with the least liked."""
        assert isinstance(self.towers.item_tower, ItemFactors)
        self.towers.item_tower.bias.table.weight[-1] = float(self.tables.bias.min())
        return self.towers


def tables_of(towers: Towers) -> Tables:
    """The weights of all that have a row of their own, in place."""
    users, items = towers.user_tower, towers.item_tower
    assert isinstance(users, UserFactors)
    assert isinstance(items, ItemFactors)
    user, item = users.factors.own(), items.factors.own()
    squares = np.full(len(user), START, np.float32), np.full(len(item), START, np.float32)
    return Tables(user, item, items.bias.own()[:, 0], *squares)


def likings_of(timeline: Timeline, recency: float | None, by_value: bool = True) -> Likings:
    """Who likes what, and how much: by value, and half as much for every `recency` days of age; 1 in the mean.

    Where there is neither value nor time to weigh by, one weight stands for all.
    """
    user = np.repeat(np.arange(len(timeline.start) - 1, dtype=np.int32), np.diff(timeline.start))
    order = np.lexsort((timeline.item_row, user))  # which leaves the users where they are
    item = timeline.item_row[order]
    fades = None if recency is None or timeline.time is None else (timeline.end - timeline.time) / DAY / recency
    by_value = by_value and timeline.value is not None
    if not by_value and fades is None:
        return Likings(user, item, np.ones(1, np.float32), timeline.start)
    weight = worth(timeline) if by_value else alike(LIKED_ONCE, len(item))
    if fades is not None:
        weight = weight * 0.5**fades
    return Likings(user, item, (weight / weight.mean())[order].astype(np.float32), timeline.start)
