"""Probabilistic matrix factorisation with biases (reference system 002).

score(u, i) = <u, a> + b_u + b_a, after Salakhutdinov and Mnih 2007, Probabilistic Matrix Factorization (NIPS 20); where
it predicts ratings, the mean of all ratings is part of b_u.
The biases are columns of the vectors, so that the head is a dot product. Users and items that were not in training get
the out-of-vocabulary row.
"""

from typing import ClassVar, cast, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.layers import SafeEmbedding, row_input
from rec_export.towers import DotHead, Input, Inputs, ModelSpec, Sizes, Towers


@final
class Spec(ModelSpec):
    """The number of factors."""

    seeds: ClassVar[int] = 3
    half_life: ClassVar[float | None] = 2.0
    predicts: ClassVar[bool] = True

    dim: int = Field(default=40, ge=1, le=65_536)

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """A user is a row."""
        return (row_input("B"),)

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """An item is a row."""
        return (row_input("N"),)

    def components(self, sizes: Sizes) -> dict[str, int]:
        """The factors, and the biases of the user and of the item."""
        return {"factors": self.dim, "user": 1, "item": 1}

    def build(self, sizes: Sizes) -> Towers:
        """Two tables of factors."""
        return Towers(
            Factors(sizes.users.rows, self.dim, bias_first=True),
            Factors(sizes.items.rows, self.dim, bias_first=False),
            DotHead(),
        )

    @torch.no_grad()
    def in_units(self, towers: Towers, scale: float, shift: float) -> None:
        """Users' factors and both biases are scaled; the shift goes to the users' biases."""
        user, item = cast(Factors, towers.user_tower), cast(Factors, towers.item_tower)
        user.factors.table.weight.mul_(scale)
        user.bias.table.weight.mul_(scale).add_(shift)
        item.bias.table.weight.mul_(scale)

    def id_tables(self, towers: Towers) -> tuple[list[nn.Module], list[nn.Module]]:
        """Factors and biases."""
        user, item = cast(Factors, towers.user_tower), cast(Factors, towers.item_tower)
        return [user.factors, user.bias], [item.factors, item.bias]


class Factors(nn.Module):
    """[factors, bias, 1] of a user, [factors, 1, bias] of an item."""

    def __init__(self, rows: int, dim: int, bias_first: bool) -> None:
        super().__init__()
        self.factors = SafeEmbedding(rows, dim, std=0.1)
        self.bias = SafeEmbedding(rows, 1, std=0.0)
        self.bias_first = bias_first

    def forward(self, inputs: Inputs) -> Tensor:
        """{"row": int64 [B]} -> float32 [B, D + 2]."""
        factors, bias = self.factors(inputs["row"]), self.bias(inputs["row"])
        one = torch.ones_like(bias)
        return torch.cat([factors, bias, one] if self.bias_first else [factors, one, bias], 1)
