"""Embeddings and attributes through a residual MLP (reference system 001, for music, artists and genres).

    x = [id, category, ..., tags, relu(numbers), relu(text)]      of the user and of the item, each part `dim` wide
    score = last(blocks([x of the user; x of the item]))          blocks: y = relu(relu(W y + b) + R y + r)

The towers compute W and R of the first block, split between user and item; the head does the rest. Artist and genre are
category columns of the items, audio features are dense ones; whatever other columns a table has take part alike.

Departures from system 001: its encoder of numbers mixed the user's age with the item's audio features before a relu, so
that no item had a vector of its own; here each table has its own encoder. No batch norm: the head sees every user with
every candidate, whose statistics are not those of the rows that are scored later (system 000 ranked under popularity
with it); what it does after training is an affine map. Blocks a quarter as wide unless asked for, as each user meets
each item. Plays are the label or the weight of a liking, no input; they are predicted where `loss: mse` is asked for.
"""

from typing import Annotated, ClassVar, cast, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.layers import BagEncoder, DenseEncoder, SafeEmbedding, attribute_inputs, row_input
from rec_export.towers import Input, Inputs, ModelSpec, ResidualHead, Sizes, TableSizes, Towers

STD = 0.1  # of embeddings
LR, HEAD_SPEED = 0.01, 0.3  # an id's row is seen once an epoch, and the head has all the rest of the model


@final
class Spec(ModelSpec):
    """Widths of the parts."""

    lr: ClassVar[float | None] = LR
    head_speed: ClassVar[float] = HEAD_SPEED
    half_life: ClassVar[float | None] = 2.0
    predicts: ClassVar[bool] = True

    dim: int = Field(default=64, ge=1, le=65_536, description="of an id, of a category column, of all numbers together")
    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        default=(64, 32, 16), min_length=1, description="widths of the residual blocks; system 001 had [256, 128, 64]"
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="of each block, on the way that is no shortcut")

    @property
    def pair_numbers(self) -> int:
        """Both ways through each block, and where they join."""
        return 3 * sum(self.hidden)

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id and attributes."""
        return (row_input("B"), *attribute_inputs(sizes.users, "B"))

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id and attributes."""
        return (row_input("N"), *attribute_inputs(sizes.items, "N"))

    def build(self, sizes: Sizes) -> Towers:
        """Two towers of one kind, and the blocks. The bias of the first block is in the user's."""
        head = ResidualHead(self.hidden, self.dropout)
        return Towers(
            Tower(sizes.users, self.dim, head.width, bias=True),
            Tower(sizes.items, self.dim, head.width, bias=False),
            head,
        )

    @torch.no_grad()
    def in_units(self, towers: Towers, scale: float, shift: float) -> None:
        """The last layer is scaled and shifted."""
        last = cast(ResidualHead, towers.pair_head).last
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(shift)

    def id_tables(self, towers: Towers) -> tuple[list[nn.Module], list[nn.Module]]:
        """The ids beside the attributes."""
        return [cast(Tower, towers.user_tower).ids], [cast(Tower, towers.item_tower).ids]


class Tower(nn.Module):
    """[W x + b | R x + r] of the first block, as far as it comes from one table."""

    def __init__(self, sizes: TableSizes, dim: int, width: int, bias: bool) -> None:
        super().__init__()
        self.ids = SafeEmbedding(sizes.rows, dim, STD)
        self.category = nn.ModuleList([SafeEmbedding(values, dim, STD) for values in sizes.category])
        self.tags = BagEncoder(sizes.tags, dim, STD) if sizes.tags else None
        self.dense = (
            nn.Sequential(DenseEncoder(sizes.dense), nn.Linear(2 * len(sizes.dense), dim)) if sizes.dense else None
        )
        self.text = nn.Linear(sizes.text, dim) if sizes.text else None
        parts = 1 + len(sizes.category) + sum(map(bool, (sizes.tags, sizes.dense, sizes.text)))
        self.split = nn.Linear(parts * dim, width, bias=bias)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of one table -> float32 [B, 2 H]."""
        parts = [self.ids(inputs["row"])]
        for place, column in enumerate(self.category):
            parts.append(column(inputs["category"][:, place]))
        if self.tags is not None:
            parts.append(self.tags(inputs["tags"]))
        if self.dense is not None:
            parts.append(torch.relu(self.dense(inputs["dense"])))
        if self.text is not None:
            parts.append(torch.relu(self.text(inputs["text"])))
        return self.split(torch.cat(parts, 1))
