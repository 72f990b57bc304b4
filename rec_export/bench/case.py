"""What is to be ranked in a benchmark: vectors and a head, and what each user has seen."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rec_export.topk import Seen
from rec_export.towers import Head

AT_ONCE = 128  # users whose scores of all items still fit a processor's last cache


class Network(NamedTuple):
    """What an MLP head was before its first layer was split: y = weight [user; item] + bias.

    user float32 [B, E], item float32 [N, E], weight float32 [H, 2 E], bias float32 [H].
    """

    user: Tensor
    item: Tensor
    weight: Tensor
    bias: Tensor


class Case(NamedTuple):
    """float32 [B, D], float32 [N, D], what each user has seen, and how long the lists are."""

    name: str
    head: Head
    user_vec: Tensor
    item_vec: Tensor
    seen: Seen
    k: int
    network: Network | None = None  # of an MLP head

    def first(self, users: int) -> "Case":
        """The same for so many users."""
        network = self.network and self.network._replace(user=self.network.user[:users])
        seen = self.seen.take(np.arange(users))
        return self._replace(user_vec=self.user_vec[:users], seen=seen, network=network)

    def on(self, device: torch.device) -> "Case":
        """The same on a device."""
        network = self.network and Network(*(part.to(device) for part in self.network))
        user_vec, item_vec = self.user_vec.to(device), self.item_vec.to(device)
        return self._replace(head=self.head.to(device), user_vec=user_vec, item_vec=item_vec, network=network)


Way = Callable[[], Tensor | None]
"""A way through a case: item rows, int64 [B, k]; or nothing where nothing is selected."""


def some_seen(users: int, items: int) -> Seen:
    """10 to 50 items of each user."""
    random = np.random.default_rng(0)
    start = np.cumsum([0, *random.integers(10, 51, users)])
    return Seen(start, random.integers(0, items, start[-1]))


def seen_pairs(seen: Seen, at: int, users: int) -> Tensor:
    """int64 [pairs, 2]: place in the chunk of users that starts at `at`, item row."""
    start = seen.start[at : at + users + 1]
    owner = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return torch.from_numpy(np.stack([owner, seen.item_row[start[0] : start[-1]]], 1))


def best_of(score: Callable[[int], Tensor], seen: Seen, k: int, at_once: int) -> Tensor:
    """torch.topk of the scores, float32 [at_once, N], of each chunk of users, without what they have seen."""
    lists = []
    for at in range(0, len(seen.start) - 1, at_once):
        scores = score(at)
        scores[tuple(seen_pairs(seen, at, at_once).T)] = -torch.inf
        lists.append(scores.topk(k).indices.cpu())
    return torch.cat(lists)
