"""A small model for tests alone, with a place for every fault that exports.py plants."""

from typing import final

import torch
from torch import Tensor, nn

from rec_export.layers import CategoryEncoder, DenseEncoder, SafeEmbedding
from rec_export.towers import Input, Inputs, ModelSpec, ResidualHead, Sizes, Towers

HIDDEN = 4


@final
class Spec(ModelSpec):
    """Nothing to choose."""

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id and history."""
        return (
            Input(name="row", dtype="int64", shape=("B",)),
            Input(name="history", dtype="int64", shape=("B", "L"), pad=-1),
            Input(name="history_length", dtype="int64", shape=("B",)),
        )

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id, numbers and categories."""
        return (
            Input(name="row", dtype="int64", shape=("N",)),
            Input(name="dense", dtype="float32", shape=("N", len(sizes.items.dense))),
            Input(name="category", dtype="int64", shape=("N", len(sizes.items.category))),
        )

    def build(self, sizes: Sizes) -> Towers:
        """Two towers and residual blocks."""
        return Towers(UserTower(sizes), ItemTower(sizes), ResidualHead((HIDDEN, 3)))


@final
class UserTower(nn.Module):
    """The id and the history, newer items first."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.items = sizes.items.rows
        self.ids = SafeEmbedding(sizes.users.rows, 2 * HIDDEN, std=0.3)
        self.seen = SafeEmbedding(sizes.items.rows, 2 * HIDDEN, std=0.3)

    def age(self, history: Tensor, length: Tensor) -> Tensor:
        """How many newer items there are, int64 [B, L]; below zero where there is no item."""
        return length.unsqueeze(1) - 1 - torch.arange(history.shape[1], device=history.device)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, 2 H]."""
        history = inputs["history"]
        age = self.age(history, inputs["history_length"])
        live = (age >= 0) & (history >= 0) & (history < self.items)
        weight = torch.exp(-0.3 * age.clamp(min=0)).unsqueeze(2) * live.unsqueeze(2)
        return self.ids(inputs["row"]) + (self.seen(history) * weight).sum(1)


@final
class ItemTower(nn.Module):
    """The id and the attributes, through a batch norm."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ids = SafeEmbedding(sizes.items.rows, 2 * HIDDEN, std=0.3)
        self.scaled = DenseEncoder(sizes.items.dense)
        self.dense = nn.Linear(2 * len(sizes.items.dense), 2 * HIDDEN)
        self.category = CategoryEncoder(sizes.items.category, 2 * HIDDEN, std=0.3)
        self.norm = nn.BatchNorm1d(2 * HIDDEN)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, 2 H]."""
        told = self.dense(self.scaled(inputs["dense"])) + self.category(inputs["category"])
        return self.norm(self.ids(inputs["row"]) + told)
