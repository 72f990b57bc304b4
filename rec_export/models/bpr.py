"""Matrix factorisation that learns from pairs: what a user likes above one item that was drawn.

score(u, i) = <u, v> + b_i, after Rendle et al. 2009, BPR: Bayesian Personalized Ranking from Implicit Feedback
(arXiv:1205.2618). The weights are those of trainers/bpr.py. A user's bias would cancel, so there is none. A user who
was not in training gets what is popular; an item that was not stands with the least liked.
"""

from typing import ClassVar, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.layers import SafeEmbedding, row_input
from rec_export.towers import DotHead, Input, Inputs, ModelSpec, Sizes, Towers


@final
class Spec(ModelSpec):
    """The number of factors, and how they are held back."""

    trainer = "bpr"
    lr: ClassVar[float | None] = 0.1
    epochs: ClassVar[int | None] = 200
    patience: ClassVar[int | None] = 25
    half_life: ClassVar[float | None] = 1.0
    seeds: ClassVar[int] = 3

    dim: int = Field(
        default=64,
        ge=1,
        le=65_536,
        description="factors; of `training` it heeds epochs, patience, lr, reject, recency, by_value, seed(s), metric"
        " and refit",
    )
    regularization: float | None = Field(
        default=None, ge=0, description="of the rows that a step moves; 0.015, or 0.03 where order means nothing"
    )

    def held_back(self, sizes: Sizes) -> float:
        """The regularization, by what the log is where it was left open: measured on validation rows."""
        usual = 0.015 if sizes.ordered else 0.03
        return usual if self.regularization is None else self.regularization

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """A user is a row."""
        return (row_input("B"),)

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """An item is a row."""
        return (row_input("N"),)

    def components(self, sizes: Sizes) -> dict[str, int]:
        """The factors, and the bias of the item."""
        return {"factors": self.dim, "item": 1}

    def build(self, sizes: Sizes) -> Towers:
        """Small random factors; zeros for a user who is not known."""
        users, items = UserFactors(sizes.users.rows, self.dim), ItemFactors(sizes.items.rows, self.dim)
        with torch.no_grad():
            for tower in (users, items):
                tower.factors.table.weight[-1].zero_()
        return Towers(users, items, DotHead())


class UserFactors(nn.Module):
    """[factors, 1]."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.factors = SafeEmbedding(rows, dim, std=0.1)

    def forward(self, inputs: Inputs) -> Tensor:
        """{"row": int64 [B]} -> float32 [B, D + 1]."""
        factors = self.factors(inputs["row"])
        return torch.cat([factors, torch.ones_like(factors[:, :1])], 1)


class ItemFactors(nn.Module):
    """[factors, bias]."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.factors = SafeEmbedding(rows, dim, std=0.1)
        self.bias = SafeEmbedding(rows, 1, std=0.0)

    def forward(self, inputs: Inputs) -> Tensor:
        """{"row": int64 [N]} -> float32 [N, D + 1]."""
        return torch.cat([self.factors(inputs["row"]), self.bias(inputs["row"])], 1)
