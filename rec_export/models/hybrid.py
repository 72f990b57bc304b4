"""Hybrid two-tower model after reference system 000, on ids, attributes, history and trends.

    h = tanh(history + attributes + id + context)             of the user
    score = tail(relu(A [h, context] + B [item, trend]))      the interaction MLP (`hidden`), its first layer split
          + <h, item> + bias + w(h) . [trend, relu(T trend)]  what MLPs learn badly: dot products (Rendle et al. 2020,
                                                              Neural Collaborative Filtering vs. MF, arXiv:2005.09683)

Departures from system 000: no batch norm (with it the system ranked under popularity); the history in place of the
user's id, so that a user who came yesterday gets a list; recent popularity as of the scoring date; a dot product, and
the MLP beside it only if asked for, as on validation rows it earned nothing measurable for twice the time. Where it
looks at time, a second one that does not stands beside it (trainers/timeless.py).
"""

from typing import Annotated, ClassVar, NamedTuple, cast, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.histories import HistoryEncoder, begin_as_history
from rec_export.layers import (
    AttributeEncoder,
    SafeEmbedding,
    attribute_inputs,
    context_of,
    moment_inputs,
    row_input,
    trend_input,
)
from rec_export.towers import AdditiveHead, DotHead, Input, Inputs, ModelSpec, Sizes, Towers
from rec_export.world import USUAL


@final
class Spec(ModelSpec):
    """Widths of the parts."""

    seeds: ClassVar[int] = 3
    reads_order: ClassVar[bool] = True
    timeless: ClassVar[bool] = True
    shallow: ClassVar[bool] = True

    dim: int | None = Field(default=None, ge=1, le=65_536, description="64, or 128 where order means nothing")
    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        default=(), description="hidden layers of the MLP, such as [16, 8]; none: no MLP"
    )
    trends: int = Field(default=16, ge=1, le=65_536, description="hidden units on the trend of an item")
    rates: int = Field(default=3, ge=1, le=65_536, description="rates at which a history fades")
    dropout: float | None = Field(default=None, ge=0, lt=1, description="0.2, or 0.6 where order means nothing")
    user_ids: bool = Field(default=False, description="a user's id beside the history; it overfits small logs")

    def chosen(self, sizes: Sizes) -> "Widths":
        """The numbers that were left open, by what the log is: each was measured on validation rows."""
        dim, dropout = (64, 0.2) if sizes.ordered else (128, 0.6)
        return Widths(
            dim=self.dim or dim,
            hidden=self.hidden,
            trends=self.trends,
            rates=self.rates if sizes.ordered else 1,
            dropout=dropout if self.dropout is None else self.dropout,
        )

    @property
    def pair_numbers(self) -> int:
        """Each hidden layer of the MLP before and after its relu, and none without it."""
        return 2 * sum(self.hidden)

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id (if asked for), attributes, history, context."""
        return (
            *((row_input("B"),) if self.user_ids else ()),
            *attribute_inputs(sizes.users, "B"),
            *moment_inputs(sizes),
        )

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id, attributes, trend."""
        return (row_input("N"), *attribute_inputs(sizes.items, "N"), trend_input(sizes))

    def components(self, sizes: Sizes) -> dict[str, int]:
        """What the history asks for, what an item is to everybody, and its trend; an MLP comes on top."""
        return {"taste": self.chosen(sizes).dim, "item": 1, "trend": sizes.trend + self.trends}

    def build(self, sizes: Sizes) -> Towers:
        """The towers and the head."""
        widths = self.chosen(sizes)
        dot = widths.dim + 1 + sizes.trend + widths.trends
        user_tower, item_tower = UserTower(sizes, widths, self.user_ids), ItemTower(sizes, widths)
        if not widths.hidden:
            return Towers(user_tower, item_tower, DotHead())
        head = AdditiveHead(widths.hidden, dot)
        nn.init.zeros_(cast(nn.Linear, head.tail[-1]).weight)  # begin as the dot product
        return Towers(user_tower, item_tower, head)


class Widths(NamedTuple):
    """The widths of the parts, all known."""

    dim: int
    hidden: tuple[int, ...]
    trends: int
    rates: int
    dropout: float

    @property
    def split(self) -> int:
        """The width of the MLP's first layer, which the towers share; 0 without an MLP."""
        return self.hidden[0] if self.hidden else 0


class UserTower(nn.Module):
    """[a | h, 1, w(h)]."""

    def __init__(self, sizes: Sizes, widths: Widths, with_ids: bool) -> None:
        super().__init__()
        dim, rates = widths.dim, widths.rates
        self.history = HistoryEncoder(sizes.items, dim, rates)
        self.mix = nn.Linear(rates * dim, dim)
        self.ids = SafeEmbedding(sizes.users.rows, dim, std=0.01) if with_ids else None
        self.attributes = AttributeEncoder(sizes.users, dim=16)
        self.project = nn.Linear(self.attributes.width, dim, bias=False) if self.attributes.width else None
        self.read_context = context_of(sizes)
        self.usual = USUAL
        self.context = nn.Linear(USUAL, dim, bias=False)
        self.dropout = nn.Dropout(widths.dropout)
        self.trend = nn.Linear(dim + USUAL, sizes.trend + widths.trends)
        self.hidden = nn.Linear(dim + USUAL, widths.split) if widths.split else None
        begin_as_history(self.mix, self.context, self.trend, sizes.counts)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, H + D]."""
        context = self.read_context(inputs["context"])[:, : self.usual]
        total = self.mix(self.history(inputs["history"], inputs["history_length"]))
        total = total + self.context(context)
        if self.ids is not None:
            total = total + self.ids(inputs["row"])
        if self.project is not None:
            total = total + self.project(self.attributes(inputs))
        user = self.dropout(torch.tanh(total))
        told = torch.cat([user, context], 1)
        dot = torch.cat([user, torch.ones_like(user[:, :1]), self.trend(told)], 1)
        return dot if self.hidden is None else torch.cat([self.hidden(told), dot], 1)


class ItemTower(nn.Module):
    """[b | item, bias, trend, relu(T trend)]."""

    def __init__(self, sizes: Sizes, widths: Widths) -> None:
        super().__init__()
        dim = widths.dim
        self.ids = SafeEmbedding(sizes.items.rows, dim, std=0.05)
        self.bias = SafeEmbedding(sizes.items.rows, 1, std=0.0)
        self.attributes = AttributeEncoder(sizes.items, dim=16)
        self.project = nn.Linear(self.attributes.width, dim + 1, bias=False) if self.attributes.width else None
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=0.3 / self.attributes.width**0.5)
        self.trend = nn.Linear(sizes.trend, widths.trends)
        self.hidden = nn.Linear(dim + sizes.trend, widths.split, bias=False) if widths.split else None

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, H + D]."""
        trend = inputs["trend"]
        item = torch.cat([self.ids(inputs["row"]), self.bias(inputs["row"])], 1)
        if self.project is not None:
            item = item + self.project(self.attributes(inputs))
        dot = torch.cat([item, trend, torch.relu(self.trend(trend))], 1)
        if self.hidden is None:
            return dot
        return torch.cat([self.hidden(torch.cat([item[:, :-1], trend], 1)), dot], 1)
