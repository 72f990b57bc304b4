"""Several models of one spec as one, whose score is the sum of theirs and still a dot product.

Models that differ in their random seed are averaged. Beside them may stand one that looks at no time, at a share: as
scores are logits, the sum is a product of experts (Hinton 2002, Training Products of Experts by Minimizing Contrastive
Divergence) on what sells now and on what somebody likes at all times. And beside these tables of items, which tell
what goes with what and what comes after it.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn

from rec_export.data.clock import Clock
from rec_export.errors import UsageError
from rec_export.layers import Lasting
from rec_export.record import Record
from rec_export.shallow import Shallow
from rec_export.towers import DotHead, Inputs, Sizes, Towers
from rec_export.world import CONTEXT, EMPTY, RECENCY, recency_of


@final
class SideBySide(nn.Module):
    """The vectors of several towers in one, each times its share."""

    def __init__(self, members: list[nn.Module], shares: list[float]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shares = shares

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of one tower -> float32 [B, the sum of D]."""
        parts: list[Tensor] = []  # TorchScript knows no comprehension over modules
        for place, member in enumerate(self.members):
            parts.append(member(inputs) * self.shares[place])
        return torch.cat(parts, 1)


@final
class Away(Record):
    """From when on a user has been away for so long that what sells now tells less of them."""

    days: float  # since the last liking
    times: float  # as much is added from then on of the model that looks at no time


@final
class UserWithoutTime(nn.Module):
    """A user tower that looks at no time, for the inputs of one that does: what depends on the date is left out.

    Of somebody whose history is empty it says nothing, as it knows no more than what has sold at all times; of who is
    `away` it says more.
    """

    def __init__(self, tower: nn.Module, away: Away | None) -> None:
        super().__init__()
        self.tower = tower
        self.empty, self.recency = EMPTY, RECENCY
        self.since = inf if away is None else float(np.float32(recency_of(np.array(away.days))))
        self.more = 0.0 if away is None else away.times - 1
        self.lasting = Lasting(CONTEXT)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, D]."""
        told: dict[str, Tensor] = {}  # TorchScript knows no {**inputs}
        for name, value in inputs.items():
            told[name] = self.lasting(value) if name == "context" else value
        context = inputs["context"]
        away = (context[:, self.recency] >= self.since).to(context.dtype)
        return self.tower(told) * ((1 - context[:, self.empty]) * (1 + self.more * away)).unsqueeze(1)


@final
class ItemWithoutTime(nn.Module):
    """The same of items: of the trends the popularity of all time, in column `first`, and the flag after it."""

    def __init__(self, tower: nn.Module, first: int) -> None:
        super().__init__()
        self.tower = tower
        self.first = first

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, D]."""
        told: dict[str, Tensor] = {}
        for name, value in inputs.items():
            told[name] = value[:, self.first : self.first + 2] if name == "trend" else value
        return self.tower(told)


class Timeless(NamedTuple):
    """A model that looks at no time, its share in a score, and the sizes of those beside which it stands."""

    towers: Towers
    share: float
    away: Away | None  # who hears more of it
    sizes: Sizes


def without_time(sizes: Sizes) -> Sizes:
    """What a model that looks at no time must know of the same data."""
    clock = Clock()
    return sizes.model_copy(update={"trend": clock.trends, "counts": clock.counts, "ordered": clock.timed})


class Linear(NamedTuple):
    """What is told beside a model without a layer between, with its tables."""

    towers: Towers
    shallow: Shallow


def ensemble(members: list[Towers], timeless: Timeless | None = None, linears: Sequence[Linear] = ()) -> Towers:
    """One model for all members, and for one that looks at no time and tables of items beside them.

    Raises UsageError where scores are more than a dot product, as they do not add up.
    """
    if len(members) == 1 and timeless is None and not linears:
        return members[0]
    if not all(isinstance(member.pair_head, DotHead) for member in members):
        raise UsageError(
            "training.seeds is above 1, but the model's head is no dot product, so several cannot be one;"
            " train one seed, or leave the MLP out"
        )
    users = [member.user_tower for member in members]
    items = [member.item_tower for member in members]
    beside: list[float] = []
    if timeless is not None:
        users.append(UserWithoutTime(timeless.towers.user_tower, timeless.away))
        items.append(ItemWithoutTime(timeless.towers.item_tower, timeless.sizes.counts - 1))
        beside.append(timeless.share)
    for linear in linears:
        users.append(linear.towers.user_tower)
        items.append(linear.towers.item_tower)
        beside.append(linear.shallow.share)
    half = [share**0.5 for share in beside]  # of it on either side, so that cosines of items heed it too
    of_users, of_items = [1 / len(members)] * len(members) + half, [1.0] * len(members) + half
    return Towers(SideBySide(users, of_users), SideBySide(items, of_items), DotHead())
