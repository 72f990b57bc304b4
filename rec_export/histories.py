"""What a user's history comes to: sums that fade, and the newest items by attention."""

from typing import final

import torch
from torch import Tensor, nn

from rec_export.layers import AttributeEncoder, SafeEmbedding
from rec_export.towers import Inputs, TableSizes

ROWS = 1 << 14  # of a table that are computed at once


@torch.no_grad()
def begin_as_history(mix: nn.Linear, context: nn.Linear, trend: nn.Linear, counts: int) -> None:
    """A user begins as the plain sum of the history's vectors, and meets items by the mean of their popularities."""
    dim, rates = mix.out_features, mix.in_features // mix.out_features
    mix.weight.mul_(0.1).add_(torch.eye(dim).repeat(1, rates) / rates**0.5)
    mix.bias.zero_()
    context.weight.zero_()
    trend.weight.mul_(0.1)
    trend.bias.zero_()
    trend.bias[:counts] = 1 / counts


@final
class HistoryEncoder(nn.Module):
    """A user's history as sums of its items' vectors, one for each learned rate at which older items fade.

    Each sum is divided by the root of its squared weights, so that it is of the order of one vector for short and long
    histories alike; an empty history is zero. The items' vectors come from a table, so that an export needs no item
    attributes; `refresh` computes it from the ids and attributes. While training, `meet` computes the vectors of a
    batch's items alone, so that a step costs what the batch does.
    """

    table: Tensor
    met: Tensor | None

    def __init__(self, sizes: TableSizes, dim: int, rates: int, ids: bool = True) -> None:
        super().__init__()
        self.ids = SafeEmbedding(sizes.rows, dim, std=0.05) if ids else None
        self.attributes = AttributeEncoder(sizes, dim=16)
        self.project = nn.Linear(self.attributes.width, dim, bias=False) if self.attributes.width else None
        self.log_rates = nn.Parameter(torch.linspace(-5.0, 0.0, rates) if rates > 1 else torch.tensor([-20.0]))
        self.register_buffer("table", torch.zeros(sizes.rows + 1, dim))
        self.met = None

    def vectors(self, inputs: Inputs) -> Tensor:
        """The inputs of items -> float32 [N, D]."""
        ids = None if self.ids is None else self.ids(inputs["row"])
        if self.project is None:
            assert ids is not None
            return ids
        content = self.project(self.attributes(inputs))
        return content if ids is None else ids + content

    def with_none(self, inputs: Inputs) -> Tensor:
        """The inputs of items -> float32 [n + 1, D]: their vectors, and a zero for all that is no item."""
        vectors = self.vectors(inputs)
        return torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])

    def meet(self, inputs: Inputs) -> None:
        """From now on the items of a history are places among the n items whose inputs are given."""
        self.met = self.with_none(inputs)

    def refresh(self, inputs: Inputs) -> None:
        """Compute the table anew, from the inputs of all items, some at a time; while it was shared out it was cut."""
        rows, width = len(inputs["row"]), self.table.shape[1]
        if len(self.table) != rows + 1:
            self.table = self.table.new_zeros(rows + 1, width)
        for at in range(0, rows, ROWS):
            some = slice(at, min(at + ROWS, rows))
            self.table[some] = self.vectors({name: value[some] for name, value in inputs.items()})

    def known(self, history: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """int64 [B, L] right-padded, int64 [B] -> row of the table int64, age int64, live bool, all [B, L]."""
        age = length.unsqueeze(1) - 1 - torch.arange(history.shape[1], device=history.device)
        rows = self.vectors_now().shape[0] - 1
        live = (age >= 0) & (history >= 0) & (history < rows)
        return torch.where(live, history, rows), age.clamp(min=0), live

    def vectors_now(self) -> Tensor:
        """The vectors of the items that a history may hold, and a zero, float32 [n + 1, D]."""
        met = self.met
        return self.table if met is None else met

    def look_up(self, history: Tensor, length: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
        """int64 [B, L] right-padded, int64 [B] -> of the newest M, oldest first and right-padded in turn:

        vectors float32 [B, M, D], age int64 [B, M], live bool [B, M].
        """
        each = torch.arange(most, device=history.device)
        if self.met is not None and not torch.compiler.is_compiling():  # exports must take any width alike
            each = each[: history.shape[1]]
        place = (length.clamp(min=most) - most).unsqueeze(1) + each
        ended = torch.cat([history, torch.full_like(length, -1).unsqueeze(1)], 1)  # with a place for what is no item
        newest = ended.gather(1, place.clamp(max=history.shape[1]))
        row, age, live = self.known(newest, length.clamp(min=0, max=most))
        return nn.functional.embedding(row, self.vectors_now()), age, live

    def forward(self, history: Tensor, length: Tensor) -> Tensor:
        """int64 [B, L] right-padded, int64 [B] -> float32 [B, rates x D]. Unknown items count for nothing."""
        row, age, live = self.known(history, length)
        if self.met is not None and not torch.compiler.is_compiling():  # which would begin anew behind `nonzero`
            return self.bags(row, age, live)
        table = self.vectors_now()
        weight = self.faded(age.unsqueeze(1)) * live.unsqueeze(1).to(table.dtype)
        total = torch.bmm(weight, nn.functional.embedding(row, table))
        return (total / norm((weight * weight).sum(2)).unsqueeze(2)).flatten(1)

    def faded(self, age: Tensor) -> Tensor:
        """What an item of an age weighs at each rate, int64 [..., 1, n] -> float32 [..., rates, n]."""
        rates = torch.exp(self.log_rates).unsqueeze(1)
        return torch.exp(-rates * age.to(rates.dtype))

    def bags(self, row: Tensor, age: Tensor, live: Tensor) -> Tensor:
        """The same, from the items that there are alone, int64, int64, bool, all [B, L] -> float32 [B, rates x D].

        Histories are short and a batch is as wide as the longest, so most places hold nothing; neither the vectors of
        the others nor their gradients are laid out. Only while training, as exporters know products best.
        """
        there = torch.nonzero(live)
        owner, place = there[:, 0], there[:, 1]
        weight = self.faded(age[owner, place].unsqueeze(0))
        users, rates, items = live.shape[0], weight.shape[0], weight.shape[1]
        count = live.sum(1)
        begin = torch.cumsum(count, 0) - count
        begins = (begin + items * torch.arange(rates, device=begin.device).unsqueeze(1)).flatten()
        table = self.vectors_now().to(weight.dtype)  # in bfloat16 attributes make a table of another type
        total = nn.functional.embedding_bag(
            row[owner, place].repeat(rates), table, begins, mode="sum", per_sample_weights=weight.flatten()
        )
        size = weight.new_zeros([rates, users]).index_add(1, owner, weight * weight)
        return (total.unflatten(0, (rates, users)) / norm(size).unsqueeze(2)).transpose(0, 1).flatten(1)


def norm(squares: Tensor) -> Tensor:
    """The root of a sum of squares, which may be zero, float32 [...] -> float32 [...]."""
    return torch.sqrt(squares + 1e-6)


@final
class RecentEncoder(nn.Module):
    """The newest items of a history, weighed by what they are and how old they are: attention with learned queries.

    Each head weighs the items by softmax(v q / sqrt(D) - rate x age).
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.queries = nn.Linear(dim, heads, bias=False)
        self.log_rates = nn.Parameter(torch.linspace(-3.0, 0.0, heads))

    def forward(self, vectors: Tensor, age: Tensor, live: Tensor) -> Tensor:
        """float32 [B, M, D], int64 [B, M], bool [B, M] -> float32 [B, heads x D]; zero where nothing is live."""
        there = live.unsqueeze(1)
        faded = torch.exp(self.log_rates).unsqueeze(1) * age.unsqueeze(1).to(vectors.dtype)
        asked = self.queries(vectors).transpose(1, 2) * self.scale
        weight = torch.softmax((asked - faded).masked_fill(~there, -1e9), 2) * there.to(vectors.dtype)
        return torch.bmm(weight, vectors).flatten(1)
