"""Adaptive hybrid (reference system 004): long-term taste, recent items, content and trend, fused by a gate.

    score = sum over components c of  C g_c(user) <p_c(user), q_c(item)>  + bias(item)      C components, g sums to 1

Departures from system 004, whose GRU, content and context gave every item of a user the same number (so that they could
reorder nothing), and whose gate saw the clock alone: here each component is a dot product of its own, the gate is
multiplied into the user's vector, and it sees how much, how lately and how variedly the user has acted beside the hour
and the weekday. The user's id is replaced by the bag of the history, so that new users get lists; attention stands in
place of the GRU, as it costs a tenth and runs over any length in ONNX.
"""

from typing import ClassVar, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.histories import HistoryEncoder, RecentEncoder, begin_as_history
from rec_export.layers import (
    AttributeEncoder,
    Gate,
    SafeEmbedding,
    attribute_inputs,
    context_of,
    moment_inputs,
    row_input,
    trend_input,
)
from rec_export.towers import DotHead, Input, Inputs, ModelSpec, Sizes, Towers
from rec_export.world import USUAL

HEADS = 2  # of the attention on recent items


@final
class Spec(ModelSpec):
    """Widths of the parts, and how the gate learns."""

    seeds: ClassVar[int] = 3
    reads_order: ClassVar[bool] = True
    timeless: ClassVar[bool] = True
    shallow: ClassVar[bool] = True

    dim: int | None = Field(default=None, ge=1, le=65_536, description="64, or 128 where order means nothing")
    side: int = Field(default=32, ge=1, le=65_536, description="of recent items and of content")
    trends: int = Field(default=16, ge=1, le=65_536, description="hidden units on the trend of an item")
    rates: int = Field(default=3, ge=1, le=65_536, description="rates at which a history fades")
    span: int = Field(default=20, ge=1, le=65_536, description="items that count as recent")
    dropout: float | None = Field(default=None, ge=0, lt=1, description="0.2, or 0.6 where order means nothing")
    gate: bool = Field(default=True, description="false: equal shares for everybody, to measure what the gate brings")
    top: int | None = Field(default=None, ge=1, le=65_536, description="components with a share; all where not given")
    entropy: float = Field(default=0.01, ge=0, description="reward for shares that are spread over components")
    balance: float = Field(default=0.01, ge=0, description="penalty for components that are idle over all users")

    def chosen(self, sizes: Sizes) -> "Widths":
        """The numbers that were left open, by what the log is."""
        dim, dropout = (64, 0.2) if sizes.ordered else (128, 0.6)
        described = sizes.items.dense or sizes.items.category or sizes.items.tags or sizes.items.text
        recent, content = self.side if sizes.ordered else 0, self.side if described else 0
        return Widths(
            parts={"long": self.dim or dim, "recent": recent, "content": content, "trend": sizes.trend + self.trends},
            rates=self.rates if sizes.ordered else 1,
            dropout=dropout if self.dropout is None else self.dropout,
        )

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Attributes, history, context."""
        return (
            *attribute_inputs(sizes.users, "B"),
            *moment_inputs(sizes),
        )

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id, attributes, trend."""
        return (row_input("N"), *attribute_inputs(sizes.items, "N"), trend_input(sizes))

    def components(self, sizes: Sizes) -> dict[str, int]:
        """Those that the gate weighs, and what an item is to everybody."""
        widths = self.chosen(sizes)
        return {**{name: widths.parts[name] for name in widths.names}, "item": 1}

    def build(self, sizes: Sizes) -> Towers:
        """The towers; all that joins them is a dot product."""
        widths = self.chosen(sizes)
        gate = None
        if self.gate:
            top = self.top or len(widths.names)
            gate = Gate(widths.names, sizes.context, top, self.entropy, self.balance)
        return Towers(UserTower(sizes, widths, self.span, gate), ItemTower(sizes, widths, self.trends), DotHead())


class Widths(NamedTuple):
    """The widths of the parts, all known."""

    parts: dict[str, int]  # of each component; 0 where there is nothing to compute it from
    rates: int
    dropout: float

    @property
    def names(self) -> tuple[str, ...]:
        """The components that there are."""
        return tuple(name for name, width in self.parts.items() if width)


class UserTower(nn.Module):
    """[C g_long long, C g_recent recent, C g_content content, C g_trend w, 1]."""

    def __init__(self, sizes: Sizes, widths: Widths, span: int, gate: Gate | None) -> None:
        super().__init__()
        parts, dim, rates = widths.parts, widths.parts["long"], widths.rates
        self.history = HistoryEncoder(sizes.items, dim, rates)
        self.mix = nn.Linear(rates * dim, dim)
        self.attributes = AttributeEncoder(sizes.users, dim=16)
        self.project = nn.Linear(self.attributes.width, dim, bias=False) if self.attributes.width else None
        self.read_context = context_of(sizes)
        self.usual = USUAL
        self.context = nn.Linear(USUAL, dim, bias=False)
        self.span = span
        self.recent = RecentEncoder(dim, HEADS) if parts["recent"] else None
        self.newest = nn.Linear(HEADS * dim, parts["recent"]) if parts["recent"] else None
        self.content = HistoryEncoder(sizes.items, parts["content"], 1, ids=False) if parts["content"] else None
        self.dropout = nn.Dropout(widths.dropout)
        self.trend = nn.Linear(dim + USUAL, parts["trend"])
        self.gate = gate
        component = [place for place, name in enumerate(widths.names) for _ in range(parts[name])]
        self.register_buffer("component", torch.tensor(component), persistent=False)
        begin_as_history(self.mix, self.context, self.trend, sizes.counts)

    component: Tensor  # int64 [D] which component each place of the vector belongs to

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, D + 1]."""
        history, length, context = inputs["history"], inputs["history_length"], self.read_context(inputs["context"])
        usual = context[:, : self.usual]
        total = self.mix(self.history(history, length)) + self.context(usual)
        if self.project is not None:
            total = total + self.project(self.attributes(inputs))
        long = self.dropout(torch.tanh(total))
        parts = [long]
        if self.recent is not None and self.newest is not None:
            vectors, age, live = self.history.look_up(history, length, self.span)
            parts.append(self.dropout(torch.tanh(self.newest(self.recent(vectors, age, live)))))
        if self.content is not None:
            parts.append(self.dropout(torch.tanh(self.content(history, length))))
        parts.append(self.trend(torch.cat([long, usual], 1)))
        user = torch.cat(parts, 1)
        if self.gate is not None:
            share = self.gate(context)
            user = user * share.index_select(1, self.component) * share.shape[1]
        return torch.cat([user, torch.ones_like(user[:, :1])], 1)


class ItemTower(nn.Module):
    """[ids and attributes, the same for recent, attributes, [trend, relu(T trend)], bias]."""

    def __init__(self, sizes: Sizes, widths: Widths, trends: int) -> None:
        super().__init__()
        parts = widths.parts
        self.learned = parts["long"] + parts["recent"]
        self.ids = SafeEmbedding(sizes.items.rows, self.learned, std=0.05)
        self.bias = SafeEmbedding(sizes.items.rows, 1, std=0.0)
        self.attributes = AttributeEncoder(sizes.items, dim=16)
        out = self.learned + parts["content"] + 1
        self.project = nn.Linear(self.attributes.width, out, bias=False) if self.attributes.width else None
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=0.3 / self.attributes.width**0.5)
        self.trend = nn.Linear(sizes.trend, trends)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, D + 1]."""
        learned, bias, trend = self.ids(inputs["row"]), self.bias(inputs["row"]), inputs["trend"]
        trends = torch.cat([trend, torch.relu(self.trend(trend))], 1)
        if self.project is None:
            return torch.cat([learned, trends, bias], 1)
        told = self.project(self.attributes(inputs))
        learned, bias = learned + told[:, : self.learned], bias + told[:, -1:]
        return torch.cat([learned, told[:, self.learned : -1], trends, bias], 1)
