"""Several models of one spec as one: the score is the mean of theirs, and is still a dot product."""

from typing import final

import torch
from torch import Tensor, nn

from rec_export.errors import UsageError
from rec_export.towers import DotHead, Inputs, Towers


@final
class SideBySide(nn.Module):
    """The vectors of several towers in one, each times `share`."""

    def __init__(self, members: list[nn.Module], share: float) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.share = share

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of one tower -> float32 [B, members x D]."""
        return torch.cat([member(inputs) for member in self.members], 1) * self.share


def ensemble(members: list[Towers]) -> Towers:
    """One model for all members. Raises UsageError where scores are more than a dot product, as they do not add up."""
    if len(members) == 1:
        return members[0]
    if not all(isinstance(member.pair_head, DotHead) for member in members):
        raise UsageError(
            "training.seeds is above 1, but the model's head is no dot product, so several cannot be one;"
            " train one seed, or leave the MLP out"
        )
    return Towers(
        SideBySide([member.user_tower for member in members], 1 / len(members)),
        SideBySide([member.item_tower for member in members], 1.0),
        DotHead(),
    )
