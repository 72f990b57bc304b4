"""A number taken from every score of an item: one more column of the dot part, so every engine scores as before.

With b the penalty, float32, the item's vector ends in -b and the user's in 1. So the dot part of definition.py ends
with "+ 1 (-b)", and a head without a dot part gets one of that column alone. The head of an unknown family is evaluated
as it is, and b is taken from what it gives.
"""

from copy import deepcopy
from typing import final

import torch
from torch import Tensor

from rec_export.towers import AdditiveHead, DotHead, Head


@final
class PenalisedHead(Head):
    """What another head gives, plus the item's last number."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, Du + 1], float [N, Di + 1] -> float [B, N]."""
        score = self.head(user_vec[:, :-1].contiguous(), item_vec[:, :-1].contiguous())
        return score + item_vec[:, -1]


def penalised(head: Head) -> Head:
    """The head for vectors with the column of the penalty at their end."""
    if isinstance(head, DotHead):
        return head
    if isinstance(head, AdditiveHead):
        wider = deepcopy(head)
        wider.dot += 1
        return wider
    return PenalisedHead(head)


def with_penalty(item_vec: Tensor, penalty: Tensor) -> Tensor:
    """float32 [N, D], float32 [N] -> float32 [N, D + 1]."""
    return torch.cat([item_vec, -penalty.to(item_vec.device).unsqueeze(1)], 1)


def with_one(user_vec: Tensor) -> Tensor:
    """float32 [B, D] -> float32 [B, D + 1]."""
    return torch.cat([user_vec, user_vec.new_ones(len(user_vec), 1)], 1)
