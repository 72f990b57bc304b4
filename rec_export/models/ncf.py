"""Neural collaborative filtering (reference system 003): users and items by their ids alone.

kind dot      score = g(<u, v>), g an MLP on one number: system 003 as it was published
kind neumf    score = <p, q> + MLP([u; v]): NeuMF of He et al. 2017, Neural Collaborative Filtering (arXiv:1708.05031)

Departures: ranked by softmax over many items instead of 0/1 cross-entropy on every cell of the matrix. System 003 had a
row for each cell of that matrix in its tables; here it is a row for each user and item, and one for all others. NeuMF's
weights of p * q are in p. A user or an item that was not in training has that one row, which tells nothing of it.
"""

from typing import Annotated, ClassVar, Literal, cast, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.layers import SafeEmbedding, row_input
from rec_export.towers import AdditiveHead, Input, Inputs, ModelSpec, ScalarHead, Sizes, Towers

STD = 0.1  # of embeddings
LR, HEAD_SPEED = 0.01, 0.3  # an id's row is seen once an epoch, and the head has much of the model


@final
class Spec(ModelSpec):
    """The kind, and its widths."""

    lr: ClassVar[float | None] = LR
    head_speed: ClassVar[float] = HEAD_SPEED
    half_life: ClassVar[float | None] = 2.0
    predicts: ClassVar[bool] = True

    kind: Literal["neumf", "dot"] = "neumf"
    dim: int = Field(default=32, ge=1, le=65_536, description="factors of the dot product; system 003 had 5")
    hidden: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        default=(32, 16, 8), min_length=1, description="hidden layers of the MLP; system 003 had [2048, 1024, 512]"
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="after each hidden layer")

    @property
    def pair_numbers(self) -> int:
        """Each hidden layer before and after its relu."""
        return 2 * sum(self.hidden)

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """A user is a row."""
        return (row_input("B"),)

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """An item is a row."""
        return (row_input("N"),)

    def build(self, sizes: Sizes) -> Towers:
        """Tables of factors, and the head of the kind."""
        users, items = sizes.users.rows, sizes.items.rows
        if self.kind == "dot":
            head = ScalarHead(self.hidden, self.dropout)
            return Towers(Factors(users, self.dim), Factors(items, self.dim), head)
        width = self.hidden[0]
        return Towers(
            Fusion(users, self.dim, width, bias=True),
            Fusion(items, self.dim, width, bias=False),
            AdditiveHead(self.hidden, self.dim, self.dropout),
        )

    @torch.no_grad()
    def in_units(self, towers: Towers, scale: float, shift: float) -> None:
        """The MLP's last layer is scaled and shifted, and so are the users' factors where there is a dot product."""
        last = cast(nn.Linear, cast(AdditiveHead | ScalarHead, towers.pair_head).tail[-1])
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(shift)
        if isinstance(towers.user_tower, Fusion):
            towers.user_tower.factors.table.weight.mul_(scale)

    def id_tables(self, towers: Towers) -> tuple[list[nn.Module], list[nn.Module]]:
        """The factors, and what the MLP reads."""

        def tables(tower: nn.Module) -> list[nn.Module]:
            return list(tower.children()) if isinstance(tower, Factors) else list(tower.children())[:2]

        return tables(towers.user_tower), tables(towers.item_tower)


class Factors(nn.Module):
    """The factors of a row."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.factors = SafeEmbedding(rows, dim, STD)

    def forward(self, inputs: Inputs) -> Tensor:
        """{"row": int64 [B]} -> float32 [B, D]."""
        return self.factors(inputs["row"])


class Fusion(nn.Module):
    """[a | p] of a user, [b | q] of an item: the MLP's first layer, as far as it is theirs, and the factors."""

    def __init__(self, rows: int, dim: int, width: int, bias: bool) -> None:
        super().__init__()
        self.factors = SafeEmbedding(rows, dim, STD)
        self.embedding = SafeEmbedding(rows, width, STD)
        self.split = nn.Linear(width, width, bias=bias)

    def forward(self, inputs: Inputs) -> Tensor:
        """{"row": int64 [B]} -> float32 [B, H + D]."""
        row = inputs["row"]
        return torch.cat([self.split(self.embedding(row)), self.factors(row)], 1)
