"""Hybrid two-tower model with an interaction MLP (reference system 000), on ids, attributes, history and trends.

    h = tanh(history + attributes + id + context)             of the user
    score = tail(relu(A [h, context] + B [item, trend]))      the interaction MLP, its first layer split
          + <h, item> + bias + w(h) . [trend, relu(T trend)]  what MLPs learn badly: dot products (Rendle et al. 2020,
                                                              Neural Collaborative Filtering vs. MF, arXiv:2005.09683)

Departures from system 000: no batch norm (with it the system ranked under popularity); the history in place of the
user's id, so that a user who came yesterday gets a list; recent popularity as of the scoring date; a dot product beside
the MLP.
"""

from typing import cast, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.layers import AttributeEncoder, HistoryEncoder, SafeEmbedding, attribute_inputs
from rec_export.towers import AdditiveHead, Input, Inputs, ModelSpec, Sizes, Towers


@final
class Spec(ModelSpec):
    """Widths of the parts."""

    dim: int | None = Field(default=None, ge=1, description="of users and items; 64, or 128 where order means nothing")
    hidden: tuple[int, ...] = Field(default=(16, 8), min_length=1, description="hidden layers of the interaction MLP")
    trends: int = Field(default=16, ge=1, description="hidden units on the trend of an item")
    rates: int = Field(default=3, ge=1, description="rates at which a history fades")
    dropout: float = Field(default=0.2, ge=0, lt=1)
    user_ids: bool = Field(default=False, description="a user's id beside the history; it overfits small logs")

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id (if asked for), attributes, history, context."""
        row = Input(name="row", dtype="int64", shape=("B",))
        return (
            *((row,) if self.user_ids else ()),
            *attribute_inputs(sizes.users, "B"),
            Input(name="history", dtype="int64", shape=("B", "L"), pad=-1),
            Input(name="history_length", dtype="int64", shape=("B",)),
            Input(name="context", dtype="float32", shape=("B", sizes.context)),
        )

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id, attributes, trend."""
        return (
            Input(name="row", dtype="int64", shape=("N",)),
            *attribute_inputs(sizes.items, "N"),
            Input(name="trend", dtype="float32", shape=("N", sizes.trend)),
        )

    def width(self, sizes: Sizes) -> int:
        """The width of users and items. Bags have more to say at once than sequences (measured on validation rows)."""
        return self.dim or (64 if sizes.ordered else 128)

    def build(self, sizes: Sizes) -> Towers:
        """The towers and the head."""
        dot = self.width(sizes) + 1 + sizes.trend + self.trends
        head = AdditiveHead(self.hidden, dot)
        nn.init.zeros_(cast(nn.Linear, head.tail[-1]).weight)  # begin as the dot product
        return Towers(UserTower(sizes, self), ItemTower(sizes, self), head)


class UserTower(nn.Module):
    """[a | h, 1, w(h)]."""

    def __init__(self, sizes: Sizes, spec: Spec) -> None:
        super().__init__()
        dim, rates = spec.width(sizes), spec.rates if sizes.ordered else 1
        self.history = HistoryEncoder(sizes.items, dim, rates)
        self.mix = nn.Linear(rates * dim, dim)
        self.ids = SafeEmbedding(sizes.users.rows, dim, std=0.01) if spec.user_ids else None
        self.attributes = AttributeEncoder(sizes.users, dim=16)
        self.project = nn.Linear(self.attributes.width, dim, bias=False) if self.attributes.width else None
        self.context = nn.Linear(sizes.context, dim, bias=False)
        self.dropout = nn.Dropout(spec.dropout)
        self.trend = nn.Linear(dim + sizes.context, sizes.trend + spec.trends)
        self.hidden = nn.Linear(dim + sizes.context, spec.hidden[0])
        self.reset(sizes)

    @torch.no_grad()
    def reset(self, sizes: Sizes) -> None:
        """Begin as the plain sum of the history's vectors, and as popularity by the mean of its trends."""
        dim, rates = self.mix.out_features, self.mix.in_features // self.mix.out_features
        self.mix.weight.mul_(0.1).add_(torch.eye(dim).repeat(1, rates) / rates**0.5)
        self.mix.bias.zero_()
        self.context.weight.zero_()
        self.trend.weight.mul_(0.1)
        self.trend.bias.zero_()
        self.trend.bias[: sizes.counts] = 1 / sizes.counts

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, H + D]."""
        context = inputs["context"]
        total = self.mix(self.history(inputs["history"], inputs["history_length"]))
        total = total + self.context(context)
        if self.ids is not None:
            total = total + self.ids(inputs["row"])
        if self.project is not None:
            total = total + self.project(self.attributes(inputs))
        user = self.dropout(torch.tanh(total))
        told = torch.cat([user, context], 1)
        return torch.cat([self.hidden(told), user, torch.ones_like(user[:, :1]), self.trend(told)], 1)


class ItemTower(nn.Module):
    """[b | item, bias, trend, relu(T trend)]."""

    def __init__(self, sizes: Sizes, spec: Spec) -> None:
        super().__init__()
        dim = spec.width(sizes)
        self.ids = SafeEmbedding(sizes.items.rows, dim, std=0.05)
        self.bias = SafeEmbedding(sizes.items.rows, 1, std=0.0)
        self.attributes = AttributeEncoder(sizes.items, dim=16)
        self.project = nn.Linear(self.attributes.width, dim + 1, bias=False) if self.attributes.width else None
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=0.3 / self.attributes.width**0.5)
        self.trend = nn.Linear(sizes.trend, spec.trends)
        self.hidden = nn.Linear(dim + sizes.trend, spec.hidden[0], bias=False)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, H + D]."""
        trend = inputs["trend"]
        item = torch.cat([self.ids(inputs["row"]), self.bias(inputs["row"])], 1)
        if self.project is not None:
            item = item + self.project(self.attributes(inputs))
        told = torch.cat([item[:, :-1], trend], 1)
        return torch.cat([self.hidden(told), item, trend, torch.relu(self.trend(trend))], 1)
