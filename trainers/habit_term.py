"""The numbers of a habit's term (rec_export/habit.py), as what users did next makes them likeliest.

Among the held-out rows a user chose some items, new or not. A choice is a softmax over all items, as in McFadden 1974
(Conditional Logit Analysis of Qualitative Choice Behavior): of the model's score times a scale, and the term for what
the user has liked before. The likelihood is concave in the scale and the numbers. Of the many items that are new to a
user the best by score are looked at one by one, and a sample stands for the rest.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from rec_export.checkpoint import modules
from rec_export.data.columns import Int64
from rec_export.habit import Again, Habit
from rec_export.metrics import Float64
from rec_export.progress import passed
from rec_export.towers import Towers
from trainers.batches import Device
from trainers.chances import log_sum
from trainers.habits import everything, ordered
from trainers.validation import ListValidation

log = logging.getLogger("rec_export")
FEWEST = 50  # choices of what was liked before
BEST, SAMPLE = 1000, 1000  # new items of a user
NOTHING = -1e4  # the logarithm of what is as good as no chance
PRIOR = 1e-4  # of the squares: where nothing is chosen again, or nothing else, the numbers stay finite


class Choices(NamedTuple):
    """What U users chose, and what from; scores are the model's, and T choices are told by where they stand.

    new, stands float64 [U, C]: the scores of items that are new, and the logarithm of how many items each stands for.
    owner int64 [M], score float64 [M], told float64 [M, 3]: what was liked before, and what its term is made of.
    chosen int64 [T]: users; its score float64 [T], its told float64 [T, 3], zeros for what is new.
    """

    new: Tensor
    stands: Tensor
    owner: Tensor
    score: Tensor
    told: Tensor
    chosen: Tensor
    chosen_score: Tensor
    chosen_told: Tensor

    @classmethod
    def of(cls, lists: ListValidation, score: Callable[[Int64], Tensor]) -> Self:
        """From the lists' users and targets, by scores float32 [B, N] of users int64 [B]."""
        items = lists.dataset.catalogue.items.trained
        sample = torch.from_numpy(np.random.default_rng(0).permutation(items)[:SAMPLE])
        parts = []
        for at in range(0, len(lists.user), lists.at_once):
            user = lists.user[at : at + lists.at_once]
            mine = slice(*np.searchsorted(lists.targets.user, (at, at + len(user))))
            chosen = lists.targets.user[mine] - at, lists.targets.item_row[mine]
            parts.append(cls.of_some(score(user).double(), again_of(lists, user), chosen, at, sample))
            passed()
        return cls(*(torch.cat(column) for column in zip(*parts, strict=True)))

    @classmethod
    def of_some(cls, score: Tensor, again: Again, chosen: tuple[Int64, Int64], first: int, sample: Tensor) -> Self:
        """The same of some users, the first of whom is number `first`, from their scores of all items [B, N]."""
        items = score.shape[1]
        owner, row = again.items.user(), again.items.item_row
        told = np.column_stack([np.ones(len(row)), np.log(again.times), -np.log1p(again.days)])
        pair, wanted = owner * items + row, chosen[0] * items + chosen[1]
        order, chosen_told = np.argsort(pair), np.zeros((len(wanted), 3))
        if len(pair):
            place = order[np.minimum(np.searchsorted(pair, wanted, sorter=order), len(pair) - 1)]
            known = pair[place] == wanted
            chosen_told[known] = told[place[known]]
        own, chosen_score = score[owner, row], score[chosen[0], chosen[1]]
        score[owner, row] = -torch.inf
        best, at = torch.topk(score, min(BEST, items))
        score.scatter_(1, at, -torch.inf)
        rest = score[:, sample]
        left = (torch.isfinite(score).sum(1) / torch.isfinite(rest).sum(1).clamp(min=1)).log().unsqueeze(1)
        new, stands = torch.cat([best, rest], 1), torch.cat([torch.zeros_like(best), left.expand_as(rest)], 1)
        there = torch.isfinite(new)
        return cls(
            torch.where(there, new, 0.0),
            torch.where(there, stands, NOTHING),
            torch.from_numpy(owner + first),
            own,
            torch.from_numpy(told),
            torch.from_numpy(chosen[0] + first),
            chosen_score,
            torch.from_numpy(chosen_told),
        )

    def again(self) -> int:
        """How many choices are of what was liked before."""
        return int(self.chosen_told[:, 0].sum())

    def loss(self, scale: Tensor, numbers: Tensor) -> Tensor:
        """The mean over users of their choices' mean surprise, from the scale [] and the numbers [3]."""
        users = len(self.new)
        new = torch.logsumexp(scale * self.new + self.stands, 1)
        value = torch.cat([new, scale * self.score + self.told @ numbers])
        owner = torch.cat([torch.arange(users), self.owner])
        surprise = log_sum(value, owner, users)[self.chosen] - (scale * self.chosen_score + self.chosen_told @ numbers)
        count = torch.bincount(self.chosen, minlength=users)
        return (surprise / count[self.chosen]).sum() / users + PRIOR * (numbers**2).sum()


def again_of(lists: ListValidation, user: Int64) -> Again:
    """What users liked before, of the trained items."""
    again = lists.world.again(user)
    return again.where(again.items.item_row < lists.dataset.catalogue.items.trained)


def likeliest(choices: Choices) -> Habit:
    """The habit that makes the choices likeliest; where no days are told its last number stays 0."""
    from scipy.optimize import minimize  # here, as no other training needs it

    spread = choices.new[choices.stands > NOTHING]
    unit = float(spread.std()) if len(spread) > 1 else 0.0  # of scores: so the search begins near its end
    unit = unit or 1.0

    def surprise(at: Float64) -> tuple[float, Float64]:
        moved = torch.tensor(at, requires_grad=True)
        loss = choices.loss(moved[0].exp() / unit, moved[1:])
        loss.backward()
        assert moved.grad is not None
        return loss.item(), moved.grad.numpy()

    bounds = [(-5.0, 5.0), *[(None, None)] * 3]
    found = minimize(surprise, np.zeros(4), jac=True, method="L-BFGS-B", bounds=bounds).x
    met, often, lately = (float(f"{number * unit / np.exp(found[0]):.6g}") for number in found[1:])
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
    choices = Choices.of(lists, score)
    again, likings = choices.again(), len(choices.chosen)
    share = f"of {likings:,} held-out likings {again:,} ({again / likings:.0%}) are of what was liked before"
    if again < FEWEST:
        log.info("%s: too few to learn habits from", share)
        return Habits()
    with torch.enable_grad():
        habit = likeliest(choices)

    def with_habit(user: Int64) -> Tensor:
        mine, found = again_of(lists, user), score(user)
        found[mine.items.user(), mine.items.item_row] += torch.from_numpy(habit.added(mine).term)
        return found

    log.info("%s; to the score of such is added %s", share, habit.formula)
    ways = {"model": with_habit, "without": score, "habit": by_habit(lists)}
    return Habits(habit, {name: lists.judge(way) for name, way in ways.items()} | lists.beside())


def by_habit(lists: ListValidation) -> Callable[[Int64], Tensor]:
    """What each user has liked most often, then the newest, then what is popular of late; after them popular items."""
    items, world = lists.dataset.catalogue.items.trained, everything(lists.dataset.timeline)
    trend = lists.world.trend()[:items, lists.recent]
    popular = torch.from_numpy(np.argsort(np.argsort(trend)) / len(trend)).float()  # below 1

    def score(user: Int64) -> Tensor:
        again, found = world.again(user), popular.repeat(len(user), 1)
        mine = again.where(again.items.item_row < items)
        order = ordered(mine, trend)
        found[mine.items.user()[order], mine.items.item_row[order]] = torch.arange(len(order), 0, -1).float()
        return found

    return score
