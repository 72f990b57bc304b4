"""A model for tests alone, with every kind of input on both sides: what passes here covers what models may ask for."""

from typing import final

import torch
from torch import Tensor, nn

from rec_export.layers import BagEncoder, CategoryEncoder, DenseEncoder, SafeEmbedding
from rec_export.towers import AdditiveHead, Input, Inputs, ModelSpec, Sizes, TableSizes, Towers

HIDDEN, DOT = 6, 4


@final
class Spec(ModelSpec):
    """Nothing to choose."""

    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id, all attributes, history, context."""
        return (
            *attributes(sizes.users, "B"),
            Input(name="history", dtype="int64", shape=("B", "L"), pad=-1),
            Input(name="history_length", dtype="int64", shape=("B",)),
            Input(name="context", dtype="float32", shape=("B", sizes.context)),
        )

    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """Id, all attributes, trend."""
        return (*attributes(sizes.items, "N"), Input(name="trend", dtype="float32", shape=("N", sizes.trend)))

    def build(self, sizes: Sizes) -> Towers:
        """Two towers, and an interaction MLP with a dot product beside it."""
        return Towers(UserTower(sizes), ItemTower(sizes), AdditiveHead((HIDDEN, 3), DOT, dropout=0.5))


def attributes(sizes: TableSizes, axis: str) -> tuple[Input, ...]:
    """The row and every kind of attribute."""
    return (
        Input(name="row", dtype="int64", shape=(axis,)),
        Input(name="dense", dtype="float32", shape=(axis, len(sizes.dense))),
        Input(name="category", dtype="int64", shape=(axis, len(sizes.category))),
        Input(name="tags", dtype="int64", shape=(axis, "T"), pad=-1),
        Input(name="text", dtype="float32", shape=(axis, sizes.text)),
    )


class Shared(nn.Module):
    """What both towers read."""

    def __init__(self, sizes: TableSizes) -> None:
        super().__init__()
        self.ids = SafeEmbedding(sizes.rows, HIDDEN + DOT, std=0.3)
        self.scaled = DenseEncoder(sizes.dense)
        self.dense = nn.Linear(2 * len(sizes.dense), HIDDEN + DOT)
        self.category = CategoryEncoder(sizes.category, HIDDEN + DOT, std=0.3)
        self.tags = BagEncoder(sizes.tags, HIDDEN + DOT, std=0.3)
        self.text = nn.Linear(sizes.text, HIDDEN + DOT)

    def forward(self, inputs: Inputs) -> Tensor:
        """The inputs of `attributes` -> float32 [B, H + D]."""
        told = self.dense(self.scaled(inputs["dense"])) + self.text(inputs["text"])
        return self.ids(inputs["row"]) + told + self.category(inputs["category"]) + self.tags(inputs["tags"])


class UserTower(nn.Module):
    """With the mean of the history, newer items first, and the context."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.shared = Shared(sizes.users)
        self.items = sizes.items.rows
        self.seen = SafeEmbedding(sizes.items.rows, HIDDEN + DOT, std=0.3)
        self.context = nn.Linear(sizes.context, HIDDEN + DOT)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, H + D]."""
        history = inputs["history"]
        age = inputs["history_length"].unsqueeze(1) - 1 - torch.arange(history.shape[1], device=history.device)
        live = (age >= 0) & (history >= 0) & (history < self.items)
        weight = torch.exp(-0.3 * age.clamp(min=0)).unsqueeze(2) * live.unsqueeze(2)
        mean = (self.seen(history) * weight).sum(1) / weight.sum(1).clamp(min=1e-6)
        return torch.relu(self.shared(inputs) + mean) + self.context(inputs["context"])


class ItemTower(nn.Module):
    """With the trend."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.shared = Shared(sizes.items)
        self.trend = nn.Linear(sizes.trend, HIDDEN + DOT)

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, H + D]."""
        return torch.tanh(self.shared(inputs)) + self.trend(inputs["trend"])
