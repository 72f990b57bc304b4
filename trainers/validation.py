"""The ranking metric after an epoch: full ranking of the trained items for some users with held-out likings."""

from collections.abc import Callable
from typing import Self, final

import numpy as np
import torch
from torch import Tensor

from rec_export.config import Training
from rec_export.data.columns import Int64
from rec_export.data.log import Log
from rec_export.inputs import item_inputs, user_inputs
from rec_export.metrics import Targets, hits, per_user
from rec_export.towers import Towers
from rec_export.world import World, ragged
from trainers.batches import Device
from trainers.dataset import Dataset

USERS = 4000
AT_ONCE = 512


@final
class Validation:
    """Held-out likings of users, as of the world before them."""

    def __init__(
        self, dataset: Dataset, world: World, user: Int64, targets: Targets, training: Training, length: int
    ) -> None:
        self.dataset, self.world, self.user, self.targets, self.length = dataset, world, user, targets, length
        self.ks = sorted({10, int(training.metric.partition("@")[2])})

    @classmethod
    def of(cls, dataset: Dataset, world: World, held_out: Log, training: Training, length: int) -> Self | None:
        """From held-out rows; None when no trained user liked a trained item in them that was new to the user."""
        trained = dataset.catalogue.items.trained
        liked = held_out.where(held_out.positive & (held_out.user_row >= 0) & (held_out.item_row >= 0))
        liked = liked.where((liked.item_row < trained) & (liked.user_row < dataset.catalogue.users.trained))
        key = np.unique(liked.user_row * trained + liked.item_row)
        seen = world.seen(np.arange(len(world.stop)))
        key = key[~np.isin(key, np.repeat(np.arange(len(world.stop)), np.diff(seen.start)) * trained + seen.item_row)]
        user = np.unique(key // trained)
        if len(user) == 0:
            return None
        user = np.sort(np.random.default_rng(0).permutation(user)[:USERS])
        key = key[np.isin(key // trained, user)]
        return cls(
            dataset, world, user, Targets(np.searchsorted(user, key // trained), key % trained), training, length
        )

    @torch.no_grad()
    def measure(self, towers: Towers, state: Device) -> dict[str, float]:
        """The metrics of the model's lists, such as {"ndcg@10": 0.1}."""
        trained = self.dataset.catalogue.items.trained
        trend = torch.from_numpy(self.world.trend())
        items = item_inputs(state.item_ports, self.dataset.item_features, trend, np.arange(trained))
        item_vec = towers.item_tower({name: value.to(state.device) for name, value in items.items()})

        def score(user: Int64) -> Tensor:
            inputs = user_inputs(state.user_ports, self.dataset.user_features, self.world, user, self.length)
            user_vec = towers.user_tower({name: value.to(state.device) for name, value in inputs.items()})
            return towers.pair_head(user_vec, item_vec).cpu()

        return self.judge(score)

    def popularity(self, column: int) -> dict[str, float]:
        """The same metrics of the most popular items by a trend column."""
        popular = torch.from_numpy(self.world.trend()[: self.dataset.catalogue.items.trained, column])
        return self.judge(lambda user: popular.repeat(len(user), 1))

    def judge(self, score: Callable[[Int64], Tensor]) -> dict[str, float]:
        """The metrics of the lists by scores, float32 [B, N]; what users have met is left out."""
        trained = self.dataset.catalogue.items.trained
        timeline = self.world.timeline
        lists = []
        for at in range(0, len(self.user), AT_ONCE):
            user = self.user[at : at + AT_ONCE]
            scores = score(user)
            past = ragged(timeline.seen_start[user], timeline.seen_start[user + 1])
            seen = timeline.seen_item[past.place]
            scores[past.owner[seen < trained], seen[seen < trained]] = -torch.inf
            lists.append(torch.topk(scores, min(max(self.ks), trained)).indices.numpy())
        hit = hits(np.concatenate(lists), self.targets, trained)
        count = self.targets.counts(len(self.user))
        return {
            f"{name}@{k}": round(float(value.mean()), 5)
            for k in self.ks
            for name, value in per_user(hit, count, k).items()
        }
