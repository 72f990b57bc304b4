"""Alternating least squares for implicit feedback (reference system 003), by the `implicit` library.

score(u, i) = <u, v>, after Hu, Koren and Volinsky 2008, Collaborative Filtering for Implicit Feedback Datasets (ICDM).
The factors are those of trainers/als.py. A user who was not in training has no factors, and gets what is popular (as
for every model that knows nothing of a user); an item that was not scores 0.
"""

from typing import final

from pydantic import Field
from torch import Tensor, nn

from rec_export.layers import SafeEmbedding, row_input
from rec_export.towers import DotHead, Input, Inputs, ModelSpec, Sizes, Towers


@final
class Spec(ModelSpec):
    """The numbers of the least squares problem. An iteration of the solver is an epoch of `training.epochs`."""

    trainer = "als"

    factors: int = Field(default=32, ge=1, le=65_536)
    regularization: float = Field(default=10.0, ge=0, description="of the squares of all factors")
    alpha: float = Field(default=5.0, gt=0, description="how much more a liking weighs than what was not liked")

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """A user is a row."""
        return (row_input("B"),)

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """An item is a row."""
        return (row_input("N"),)

    def build(self, sizes: Sizes) -> Towers:
        """Two tables of zeros, to be filled."""
        return Towers(Factors(sizes.users.rows, self.factors), Factors(sizes.items.rows, self.factors), DotHead())


class Factors(nn.Module):
    """The factors of a row."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.embedding = SafeEmbedding(rows, dim, std=0.0)

    def forward(self, inputs: Inputs) -> Tensor:
        """{"row": int64 [B]} -> float32 [B, D]."""
        return self.embedding(inputs["row"])
