"""The metrics after an epoch: items ranked as lists will rank them, for some users with held-out likings.

All that were learned from are ranked, and as many again of those in the table that nobody ever met: enough to see
whether such items fill the lists, and no matter how many there are.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self, final

import numpy as np
import torch
from torch import Tensor, nn

from rec_export.data.columns import Bool, Int64
from rec_export.data.log import Events, make_log, select
from rec_export.data.vocab import UNKNOWN
from rec_export.inputs import item_inputs, user_inputs
from rec_export.metrics import Float64, Targets, hits, per_user
from rec_export.progress import passed
from rec_export.sets import distinct, without
from rec_export.topk import Seen
from rec_export.towers import Inputs, Towers
from rec_export.world import World
from trainers.batches import Device
from trainers.dataset import Dataset
from trainers.plan import Plan

log = logging.getLogger("rec_export")
FEWEST, USERS = 200, 2000
MANY_NEW = 0.1  # of held-out likings, by users or of items that training knows nothing of, from which it is told
AT_ONCE = 64  # users; more would leave the cache with an MLP head
ITEMS_AT_ONCE = 1 << 14  # of which vectors are computed
USERS_AT_ONCE = 1 << 14  # who are asked what they have met
NUMBERS_AT_ONCE = 1 << 24  # in the head, of the pairs that are scored at once
SCORES_AT_ONCE, LEAST_AT_ONCE = 1 << 23, 16  # scores; users
NUMBERS = 1 << 32  # in the head, of all pairs


class Validation(ABC):
    """Held-out rows that tell how well a model does."""

    parts: int = 1  # of `measure`, at the end of each of which it says so by `passed`

    @abstractmethod
    def measure(self, towers: Towers, state: Device) -> dict[str, float]:
        """The metrics of a model."""

    @abstractmethod
    def beside(self) -> dict[str, dict[str, float]]:
        """The same metrics of what a model must beat, by its name."""


@final
class ListValidation(Validation):
    """Held-out likings of users, as of the world before them."""

    def __init__(
        self, dataset: Dataset, plan: Plan, user: Int64, targets: Targets, ranked: Int64, at_once: int, again: bool
    ) -> None:
        self.dataset, self.user, self.targets, self.length = dataset, user, targets, plan.history
        self.at_once, self.recent, self.again = at_once, plan.recent, again
        self.parts = -(-len(user) // at_once)
        self.world = dataset.timeline.as_of(None, plan.clock)
        self.ranked = ranked  # int64 [N] the items, those that were learned from in their own places
        self.ks = sorted({10, int(plan.metric.partition("@")[2])})

    @classmethod
    def of(cls, dataset: Dataset, plan: Plan, later: Events, pair_numbers: int, again: bool = False) -> Self | None:
        """From held-out rows; None when no trained user liked a trained item in them that was new to the user.

        `again`: what was met counts as what is new, and lists may hold it.
        `pair_numbers` are those that a pair holds in the head: where there are many, fewer users are looked at.
        """
        users, items = dataset.catalogue.users, dataset.catalogue.items
        held_out = make_log(select(later, later.positive), users.vocab, items.vocab)
        known = (held_out.user_row != UNKNOWN) & (held_out.item_row != UNKNOWN)
        known &= (held_out.user_row < users.trained) & (held_out.item_row < items.trained)
        if not again:
            say_unknown(known)
        held_out = held_out.where(known)
        width = dataset.timeline.items
        user = distinct(held_out.user_row).astype(np.int64)
        key = distinct(held_out.pairs(width))
        if not again:
            key = not_met(key, user, dataset.timeline.as_of(None, plan.clock))
        user = distinct(key // width)
        if len(user) == 0:
            return None
        ranked = ranked_items(dataset)
        own = max(1, pair_numbers * len(ranked))  # numbers of a user's pairs
        some = min(USERS, max(FEWEST, NUMBERS // own))
        user = np.sort(np.random.default_rng(0).permutation(user)[:some])
        key = key[np.isin(key // width, user)]
        targets = Targets(np.searchsorted(user, key // width), key % width)
        few = max(LEAST_AT_ONCE, SCORES_AT_ONCE // len(ranked))  # as all items are read again for each of them
        at_once = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // own, few))
        return cls(dataset, plan, user, targets, ranked, at_once, again)

    @torch.no_grad()
    def measure(self, towers: Towers, state: Device) -> dict[str, float]:
        """The metrics of the model's lists, such as {"ndcg@10": 0.1}."""
        return self.judge(self.scores(towers, state))

    def scores(self, towers: Towers, state: Device) -> Callable[[Int64], Tensor]:
        """The scores of the ranked items by the model: users int64 [B] -> float32 [B, N]."""
        trend = torch.from_numpy(self.world.trend_for_lists()[self.ranked])
        items = item_inputs(state.item_ports, self.dataset.item_features.take(self.ranked), trend, self.ranked)
        item_vec = by_parts(towers.item_tower, items, state.device)

        def score(user: Int64) -> Tensor:
            features = self.dataset.user_features.take(user)
            inputs = user_inputs(state.user_ports, features, self.world, user, self.length)
            user_vec = towers.user_tower({name: value.to(state.device) for name, value in inputs.items()})
            return towers.pair_head(user_vec, item_vec).cpu()

        return score

    def beside(self) -> dict[str, dict[str, float]]:
        """The same metrics of the most popular items, of late or of all time."""
        popular = torch.from_numpy(self.world.trend()[self.ranked, self.recent])
        return {"popular": self.judge(lambda user: popular.repeat(len(user), 1))}

    def seen(self, user: Int64) -> Seen:
        """What may not stand in a list: what a user has met, if that does not count."""
        seen = Seen.none(len(user)) if self.again else self.world.seen(user)
        return seen.where(seen.item_row < self.dataset.catalogue.items.trained)  # as no other that was met is ranked

    def judge(self, score: Callable[[Int64], Tensor]) -> dict[str, float]:
        """The metrics of the lists by scores, float32 [B, N]; what users have met is left out, if it does not count."""
        return means(self.by_user(score))

    def by_user(self, score: Callable[[Int64], Tensor]) -> dict[str, Float64]:
        """The same of each user, float64 [U]."""
        lists = []
        for at in range(0, len(self.user), self.at_once):
            user = self.user[at : at + self.at_once]
            scores = score(user)
            seen = self.seen(user)
            scores[seen.user(), seen.item_row] = -torch.inf
            lists.append(torch.topk(scores, min(max(self.ks), len(self.ranked))).indices.numpy())
            passed()
        hit = hits(np.concatenate(lists), self.targets, len(self.ranked))
        count = self.targets.counts(len(self.user))
        return {f"{name}@{k}": value for k in self.ks for name, value in per_user(hit, count, k).items()}


def ranked_items(dataset: Dataset) -> Int64:
    """The items that were learned from, and as many of those that nobody ever met, if there are so many; int64 [N]."""
    trained = dataset.catalogue.items.trained
    unmet = np.ones(dataset.timeline.items, np.bool_)
    unmet[:trained], unmet[dataset.timeline.seen_item] = False, False
    some = np.random.default_rng(0).permutation(np.flatnonzero(unmet))[:trained]
    return np.append(np.arange(trained), np.sort(some))


def say_unknown(known: Bool) -> None:
    """Tell where many of the held-out likings, bool [R], are of users or items that nobody could have learned of."""
    new, share = int((~known).sum()), float(1 - known.mean()) if len(known) else 0.0
    if MANY_NEW < share < 1:
        told = (
            "%s of %s held-out likings (%.0f%%) are of users or items that came later: the figures of validation are of"
        )
        told += " the others, so `evaluate`, which counts all, has lower ones"
        log.info(told, f"{new:,}", f"{len(known):,}", 100 * share)


def means(by_user: dict[str, Float64]) -> dict[str, float]:
    """The metrics over all users, as they are told."""
    return {name: round(float(value.mean()), 5) for name, value in by_user.items()}


def not_met(key: Int64, user: Int64, world: World) -> Int64:
    """Those of ascending pairs, user x items + item, whose user has not met the item; of ascending users int64 [U]."""
    width, left = world.timeline.items, [key[:0]]
    for at in range(0, len(user), USERS_AT_ONCE):
        some = user[at : at + USERS_AT_ONCE]
        mine = slice(*np.searchsorted(key, (some[0] * width, (some[-1] + 1) * width)))
        seen = world.seen(some)
        left.append(without(key[mine], some[seen.user()] * width + seen.item_row))
    return np.concatenate(left)


def by_parts(tower: nn.Module, inputs: Inputs, device: torch.device) -> Tensor:
    """The vectors of N items, float32 [N, D] on a device, some at a time: a tower takes several times their memory."""
    rows = len(next(iter(inputs.values())))
    made: Tensor | None = None
    for at in range(0, rows, ITEMS_AT_ONCE):
        some = tower({name: value[at : at + ITEMS_AT_ONCE].to(device) for name, value in inputs.items()})
        made = some.new_empty(rows, some.shape[1]) if made is None else made
        made[at : at + ITEMS_AT_ONCE] = some
    assert made is not None
    return made
