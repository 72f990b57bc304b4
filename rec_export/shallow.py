"""Two tables of items beside a model: what a history tells of an item without a layer between, as a dot product.

    score = < the sum of 0.5^(age / half) reads[item] over the history, says[item] >

age: items that were liked later. The tables are found in closed form, so they are no parameters: of a shallow
auto-encoder (trainers/shallow.py), or of what is liked soon after what (trainers/following.py).
"""

from typing import Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.record import Record
from rec_export.towers import DotHead, Inputs, Towers

Told = Literal["together", "next"]  # what goes with what, or what comes soon after what


@final
class Shallow(Record):
    """The numbers of two tables, and how much of what they tell is added to a score."""

    tells: Told = "together"
    rank: int = Field(ge=1)  # the width of the tables
    half: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # None: older items weigh as much as new ones
    share: float = Field(gt=0, allow_inf_nan=False)
    spread: float | None = Field(default=None, ge=0, allow_inf_nan=False)  # of what is added, over that of the model

    def at(self, share: float, spread: float | None) -> "Shallow":
        """The same at another share."""
        return self.model_copy(update={"share": share, "spread": spread})

    def build(self, items: int) -> Towers:
        """The towers, whose tables are zeros, for so many items."""
        return Towers(ShallowUser(items, self.rank, self.half), ShallowItem(items, self.rank), DotHead())


def look_up(table: Tensor, row: Tensor) -> Tensor:
    """float32 [N + 1, D], int64 [...] -> float32 [..., D]: the last row, which is zero, for what is not in 0..N-1."""
    last = table.shape[0] - 1
    return nn.functional.embedding(torch.where((row < 0) | (row >= last), last, row), table)


@final
class ShallowUser(nn.Module):
    """The sum of what the items of a history read, those that are not known counting for nothing."""

    reads: Tensor  # float32 [N + 1, D]

    def __init__(self, items: int, rank: int, half: float | None) -> None:
        super().__init__()
        self.register_buffer("reads", torch.zeros(items + 1, rank))
        self.decay = 0.0 if half is None else 1 / half

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, D]."""
        history, length = inputs["history"], inputs["history_length"]
        age = length.unsqueeze(1) - 1 - torch.arange(history.shape[1], device=history.device)
        weight = torch.exp2(-self.decay * age.clamp(min=0).to(torch.float32)) * (age >= 0).to(torch.float32)
        return torch.bmm(weight.unsqueeze(1), look_up(self.reads, history)).squeeze(1)


@final
class ShallowItem(nn.Module):
    """What an item says; one that is not known says nothing."""

    says: Tensor  # float32 [N + 1, D]

    def __init__(self, items: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("says", torch.zeros(items + 1, rank))

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, D]."""
        return look_up(self.says, inputs["row"])
