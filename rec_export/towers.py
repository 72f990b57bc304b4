"""The central contract: two towers and a pair head. Higher scores are better.

The letters of every shape in this project:

    B users      N items      Du, Di width of a user's and an item's vector
    P dense columns      C category columns      T tags      E text dimensions
    L history items      X context numbers      W popularity trends

    user_tower(named inputs) -> float32 [B, Du]
    item_tower(named inputs) -> float32 [N, Di]
    pair_head(float32 [B, Du], float32 [N, Di]) -> float32 [B, N]
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor, nn

from rec_export.record import Record

Inputs = dict[str, Tensor]


@final
class Input(Record):
    """One named input of a tower: its dtype, its shape in letters and numbers, and what fills the unused places."""

    name: str
    dtype: Literal["int64", "float32", "bool", "string"]
    shape: tuple[str | int, ...]
    pad: int | None = None

    def zeros(self, sizes: dict[str, int]) -> Tensor:
        """A tensor of this dtype and shape; `sizes` says how large each letter is."""
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in self.shape]
        return torch.zeros(shape, dtype=getattr(torch, self.dtype))


@final
class Dense(Record):
    """A dense column as the training part has it, after the signed logarithm of layers.DenseEncoder."""

    median: float
    mean: float
    std: float


@final
class TableSizes(Record):
    """What a tower must know of one table: its rows and the width of each kind of feature."""

    rows: int = Field(ge=0)
    dense: tuple[Dense, ...] = ()
    category: tuple[int, ...] = ()
    tags: int = 0
    text: int = 0

    def without_rows(self) -> "TableSizes":
        """The same table, empty."""
        return self.model_copy(update={"rows": 0})


@final
class Sizes(Record):
    """What a model must know of the data: the sizes of both tables, and the widths of what changes with the date."""

    users: TableSizes
    items: TableSizes
    context: int = 0
    trend: int = 1  # trend columns, W
    counts: int = 1  # the first of them: popularity over time, as a logarithm
    ordered: bool = False  # whether the order of a history means anything


class Towers(NamedTuple):
    """A model, split where users and items meet."""

    user_tower: nn.Module
    item_tower: nn.Module
    pair_head: "Head"


class ModelSpec(Record, ABC):
    """The numbers that define a model. A file in models/ holds one final subclass named Spec, and is thereby known."""

    trainer: ClassVar[Literal["gradient", "als", "bpr", "popular"]] = (
        "gradient"  # how the weights are found (trainers/ready.py)
    )
    predicts: ClassVar[bool] = False  # whether it can learn the values of rows (`training.loss: mse`): see in_units

    lr: ClassVar[float | None] = None  # the learning rate that suits it; None: by the log (trainers/plan.py)
    epochs: ClassVar[int | None] = None  # at most, and how many without a better metric end it; None: by the log
    patience: ClassVar[int | None] = None
    half_life: ClassVar[float | None] = None  # of what weighs less with age, in horizons; None: all weigh alike
    seeds: ClassVar[int] = 1  # models that are averaged where order means nothing and the log is small
    reads_order: ClassVar[bool] = False  # whether its user tower reads what a user liked, and in which order
    timeless: ClassVar[bool] = False  # whether one that looks at time gains by a second one beside it that does not
    shallow: ClassVar[bool] = False  # whether it gains by a shallow auto-encoder beside it
    head_speed: ClassVar[float] = 0.1  # of that rate: a head beside a dot product overfits small logs at the same one

    @property
    def pair_numbers(self) -> int:
        """How many numbers a pair of user and item holds in the head while it learns; 0 where that is next to none."""
        return 0

    @abstractmethod
    def user_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """What the user tower reads, in order."""

    @abstractmethod
    def item_inputs(self, sizes: Sizes) -> tuple[Input, ...]:
        """What the item tower reads, in order."""

    @abstractmethod
    def build(self, sizes: Sizes) -> Towers:
        """Fresh towers with random weights from torch's generator."""

    def components(self, sizes: Sizes) -> dict[str, int]:
        """What the places of a dot product stand for: a name and a width each, in order. Empty: not told apart."""
        return {}

    def in_units(self, towers: Towers, scale: float, shift: float) -> None:
        """Change the weights in place so that each score s becomes scale x s + shift: a rating, instead of a z-score.

        A model that `predicts` has this, and reads neither histories nor trends, in which the value would show.
        """
        raise NotImplementedError

    def id_tables(self, towers: Towers) -> tuple[list[nn.Module], list[nn.Module]]:
        """The embeddings of users' and of items' rows, int64 [B] -> float32 [B, D]; for one that `predicts`."""
        raise NotImplementedError


class Head(nn.Module, ABC):
    """The score of a pair from its two vectors: float32 [B, Du], float32 [N, Di] -> float32 [B, N]."""

    family: ClassVar[str] = "other"

    @abstractmethod
    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, Du], float [N, Di] -> float [B, N]."""


@final
class DotHead(Head):
    """<u, v>. A bias is a column that the other side fills with ones."""

    family: ClassVar[str] = "dot"

    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, D], float [N, D] -> float [B, N]."""
        return user_vec @ item_vec.T


@final
class AdditiveHead(Head):
    """tail(relu(a_u + b_i)) + <p_u, q_i>: an MLP over [u; i] whose first layer is split between the towers.

    A user's vector is [a | p] and an item's [b | q]; a and b are `hidden[0]` wide, p and q are `dot` wide (0: no dot
    part). The tail is a stack of linear layers of widths hidden[1:] and 1, with a relu between two of them. The bias of
    the first layer is in a. Without the dot part this is the interaction MLP of a hybrid recommender; with it, the
    fusion of NeuMF (He et al. 2017, Neural Collaborative Filtering, arXiv:1708.05031).
    """

    family: ClassVar[str] = "additive"

    def __init__(self, hidden: tuple[int, ...], dot: int, dropout: float = 0.0) -> None:
        super().__init__()
        widths = [*hidden, 1]
        self.width = hidden[0]
        self.dot = dot
        self.dropout = nn.Dropout(dropout)
        self.tail = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(widths)])

    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, H + D], float [N, H + D] -> float [B, N]."""
        hidden = user_vec[:, : self.width].unsqueeze(1) + item_vec[:, : self.width].unsqueeze(0)
        for layer in self.tail:
            hidden = layer(self.dropout(torch.relu(hidden)))
        score = hidden.squeeze(2)
        if self.dot > 0:
            score = score + user_vec[:, self.width :] @ item_vec[:, self.width :].T
        return score


@final
class ResidualHead(Head):
    """Residual blocks over [u; i], the first one's linear layers split between the towers.

    Each block is y = relu(relu(W x + b) + R x + r), after He et al. 2015, Deep Residual Learning for Image Recognition
    (arXiv:1512.03385), with a linear layer R in the shortcut as the widths differ; a linear layer ends it. W and R are
    stacked: a user's vector and an item's add up to [W x + b | R x + r] of the first block, 2 hidden[0] wide.
    """

    family: ClassVar[str] = "residual"

    def __init__(self, hidden: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__()
        self.width = 2 * hidden[0]
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([nn.Linear(a, 2 * b) for a, b in pairwise(hidden)])
        self.last = nn.Linear(hidden[-1], 1)

    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, 2 H], float [N, 2 H] -> float [B, N]."""
        hidden = self.joined(user_vec.unsqueeze(1) + item_vec.unsqueeze(0))
        for block in self.blocks:
            hidden = self.joined(block(hidden))
        return self.last(hidden).squeeze(2)

    def joined(self, both: Tensor) -> Tensor:
        """[W x + b | R x + r], float [B, N, 2 H] -> float [B, N, H]."""
        branch, shortcut = both.chunk(2, dim=2)
        return torch.relu(self.dropout(torch.relu(branch)) + shortcut)


@final
class ScalarHead(Head):
    """g(<u, v>): an MLP on the one number that matrix factorisation gives, with a relu between two of its layers."""

    family: ClassVar[str] = "scalar"

    def __init__(self, hidden: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(1, hidden[0])
        self.tail = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise([*hidden, 1])])

    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, D], float [N, D] -> float [B, N]."""
        hidden = self.first((user_vec @ item_vec.T).unsqueeze(2))
        for layer in self.tail:
            hidden = layer(self.dropout(torch.relu(hidden)))
        return hidden.squeeze(2)
