"""What is popular: the baseline that every report shows. The same list for everybody, but for what each has seen.

The score is the logarithm of a mixture of an item's popularities of late and of all time, the count columns of `trend`;
the shares of the mixture are all that is found, by trainers/popular.py.
"""

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from rec_export.layers import row_input, trend_input
from rec_export.towers import DotHead, Input, Inputs, ModelSpec, Sizes, Towers


@final
class Spec(ModelSpec):
    """Nothing to choose."""

    trainer = "popular"
    epochs: ClassVar[int | None] = 1

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """A user is nobody in particular."""
        return (row_input("B"),)

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """An item is its trend."""
        return (trend_input(sizes),)

    def build(self, sizes: Sizes) -> Towers:
        """One, and the score."""
        return Towers(Anybody(), Mixture(sizes.counts), DotHead())


class Anybody(nn.Module):
    """One for every user."""

    def forward(self, inputs: Inputs) -> Tensor:
        """{"row": int64 [B]} -> float32 [B, 1], ones."""
        return torch.ones_like(inputs["row"], dtype=torch.float32).unsqueeze(1)


class Mixture(nn.Module):
    """The popularity of an item."""

    def __init__(self, counts: int) -> None:
        super().__init__()
        self.counts = counts
        self.share = nn.Parameter(torch.zeros(counts))

    def forward(self, inputs: Inputs) -> Tensor:
        """{"trend": float32 [N, W]} -> float32 [N, 1]."""
        shares = torch.log_softmax(self.share, 0)
        return torch.logsumexp(inputs["trend"][:, : self.counts] + shares, 1, keepdim=True)
