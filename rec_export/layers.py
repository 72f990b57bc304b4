"""Blocks that models share. Each takes whatever a caller may send: ids out of range, missing numbers, empty bags."""

from typing import final

import torch
from torch import Tensor, nn

from rec_export.data.columns import Float32
from rec_export.towers import Dense, Input, Inputs, Sizes, TableSizes
from rec_export.world import LASTING


@final
class SafeEmbedding(nn.Module):
    """A table with one row more than it was told: the out-of-vocabulary row, for every id outside 0..rows-1.

    The rule is part of the graph, so that eager, TorchScript, ONNX and pt2 agree on every int64: without it torch
    refuses a negative id and ONNX Runtime silently counts it from the end.
    """

    def __init__(self, rows: int, dim: int, std: float) -> None:
        super().__init__()
        self.rows = rows
        self.table = nn.Embedding(rows + 1, dim)
        nn.init.normal_(self.table.weight, std=std) if std > 0 else nn.init.zeros_(self.table.weight)

    def own(self) -> Float32:
        """The rows of known ids, float32 [rows, D]: not a copy, so what is written there is learned."""
        numbers: Float32 = self.table.weight.detach().numpy()
        return numbers[:-1]

    def forward(self, row: Tensor) -> Tensor:
        """int64 [...] -> float32 [..., D]."""
        return self.table(torch.where((row < 0) | (row >= self.rows), self.rows, row))


@final
class Lasting(nn.Module):
    """The context of a user to a model that looks at no time: what depends on the date is zero, whatever is sent."""

    lasting: Tensor  # bool [X]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("lasting", torch.from_numpy(LASTING[:width]), persistent=False)

    def forward(self, context: Tensor) -> Tensor:
        """float32 [B, X] -> float32 [B, X]."""
        return torch.where(self.lasting, context, 0.0)


def context_of(sizes: Sizes) -> nn.Module:
    """What a model reads of the context, float32 [B, X] -> float32 [B, X]."""
    return nn.Identity() if sizes.ordered else Lasting(sizes.context)


def sum_of(vectors: Tensor) -> Tensor:
    """float32 [T, B, D] -> float32 [B, D], as one product: ONNX Runtime takes ten times as long for a short sum."""
    return (vectors.new_ones(vectors.shape[0]) @ vectors.flatten(1)).view(vectors.shape[1:])


@final
class DenseEncoder(nn.Module):
    """Raw numbers made fit: imputed, sign(x) log(1 + |x|), standardised, cut at 8; and flags of the missing."""

    median: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, columns: tuple[Dense, ...]) -> None:
        super().__init__()
        self.register_buffer("median", torch.tensor([c.median for c in columns]))
        self.register_buffer("mean", torch.tensor([c.mean for c in columns]))
        self.register_buffer("std", torch.tensor([c.std for c in columns]))

    def forward(self, dense: Tensor) -> Tensor:
        """float32 [B, P] -> float32 [B, 2 P], finite whatever comes."""
        column = dense.T  # as ONNX Runtime goes through [B, 1] number by number
        missing = torch.isnan(column)
        value = torch.where(missing, self.median.unsqueeze(1), column)
        value = torch.sign(value) * torch.log1p(torch.abs(value))
        value = ((value - self.mean.unsqueeze(1)) / self.std.unsqueeze(1)).clamp(-8.0, 8.0)
        return torch.cat([value, missing.to(value.dtype)]).T


@final
class CategoryEncoder(nn.Module):
    """The sum of one embedding a column; what a column does not know has its own embedding there."""

    def __init__(self, values: tuple[int, ...], dim: int, std: float) -> None:
        super().__init__()
        self.columns = nn.ModuleList([SafeEmbedding(n, dim, std) for n in values])

    def forward(self, category: Tensor) -> Tensor:
        """int64 [B, C] -> float32 [B, D]."""
        parts: list[Tensor] = []  # TorchScript knows no comprehension over modules
        for place, column in enumerate(self.columns):
            parts.append(column(category[:, place]))
        return sum_of(torch.stack(parts))


@torch.no_grad()
def forget_nothing(bags: nn.Module, *_: object) -> None:
    """Make what stands for no tag zero; a stretch of a table that several processes share does not hold that row."""
    bags.get_parameter("embedding.table.weight")[bags.get_submodule("embedding").rows :].zero_()


@final
class BagEncoder(nn.Module):
    """The mean embedding of a bag; places outside 0..rows-1 (unused, unknown) count for nothing; empty is zero.

    The row of those places is zero: made so, loaded so, and not moved, as its weight is zero in training. So a trained
    bag is a plain sum. Tags lie as ONNX Runtime is fast with: in a line to be compared, as int32 to be turned round.
    """

    def __init__(self, rows: int, dim: int, std: float) -> None:
        super().__init__()
        self.rows = rows
        self.embedding = SafeEmbedding(rows, dim, std)
        forget_nothing(self)
        self.register_load_state_dict_post_hook(forget_nothing)  # type: ignore[no-untyped-call]

    def forward(self, tags: Tensor) -> Tensor:
        """int64 [B, T] -> float32 [B, D]."""
        line = tags.flatten()
        live = (line >= 0) & (line < self.rows)
        row, weight = torch.where(live, line, self.rows).view_as(tags), live.view_as(tags).to(torch.float32)
        if self.training:
            total = torch.bmm(weight.unsqueeze(1), self.embedding.table(row)).squeeze(1)
        else:
            total = sum_of(self.embedding.table(row.to(torch.int32).T))
        return total / weight.sum(1, keepdim=True).clamp(min=1.0)


@final
class AttributeEncoder(nn.Module):
    """All attributes of a row side by side: dense, category, tags, text. `width` is 0 where there are none."""

    def __init__(self, sizes: TableSizes, dim: int) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        self.width = 0
        if sizes.dense:
            self.parts["dense"] = DenseEncoder(sizes.dense)
            self.width += 2 * len(sizes.dense)
        if sizes.category:
            self.parts["category"] = CategoryEncoder(sizes.category, dim, std=0.1)
            self.width += dim
        if sizes.tags:
            self.parts["tags"] = BagEncoder(sizes.tags, dim, std=0.1)
            self.width += dim
        if sizes.text:
            self.parts["text"] = nn.Identity()
            self.width += sizes.text

    def forward(self, inputs: Inputs) -> Tensor:
        """The inputs of this table's attributes -> float32 [B, width]; there must be at least one."""
        return torch.cat([part(inputs[name]) for name, part in self.parts.items()], 1)


def attribute_inputs(sizes: TableSizes, axis: str) -> tuple[Input, ...]:
    """The inputs that AttributeEncoder reads, for rows along `axis`."""
    ports = {
        "dense": Input(name="dense", dtype="float32", shape=(axis, len(sizes.dense))),
        "category": Input(name="category", dtype="int64", shape=(axis, len(sizes.category))),
        "tags": Input(name="tags", dtype="int64", shape=(axis, "T"), pad=-1),
        "text": Input(name="text", dtype="float32", shape=(axis, sizes.text)),
    }
    return tuple(port for name, port in ports.items() if getattr(sizes, name))


def row_input(axis: str) -> Input:
    """Which row of its table each user or item is."""
    return Input(name="row", dtype="int64", shape=(axis,))


def moment_inputs(sizes: Sizes) -> tuple[Input, ...]:
    """What is known of users as of a date."""
    return (
        Input(name="history", dtype="int64", shape=("B", "L"), pad=-1),
        Input(name="history_length", dtype="int64", shape=("B",)),
        Input(name="context", dtype="float32", shape=("B", sizes.context)),
    )


def trend_input(sizes: Sizes) -> Input:
    """How items have done of late, as of a date."""
    return Input(name="trend", dtype="float32", shape=("N", sizes.trend))


@final
class Gate(nn.Module):
    """Shares of a model's components for each user, which sum to 1.

    It begins with equal shares. With `top` below the number of components only so many have a share, chosen with noise
    in training (Shazeer et al. 2017, Outrageously Large Neural Networks, arXiv:1701.06538).
    """

    def __init__(self, names: tuple[str, ...], width: int, top: int, entropy: float, balance: float) -> None:
        super().__init__()
        self.names, self.top, self.entropy, self.balance = names, min(top, len(names)), entropy, balance
        self.hidden = nn.Linear(width, 16)
        self.out = nn.Linear(16, len(names))
        self.noise = nn.Linear(width, len(names)) if self.top < len(names) else None
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, told: Tensor) -> Tensor:
        """float32 [B, width] -> float32 [B, components]."""
        weight = self.out(torch.relu(self.hidden(told)))
        if self.noise is not None:
            if self.training:
                weight = weight + torch.randn_like(weight) * nn.functional.softplus(self.noise(told))
            least = torch.topk(weight, self.top, dim=1).values[:, -1:]
            weight = weight.masked_fill(weight < least, -1e9)
        return torch.softmax(weight, 1)

    def penalty(self, share: Tensor) -> Tensor:
        """What is added to the loss, float32 []: for shares that are all but one zero, and for idle components."""
        entropy = -(share * torch.log(share + 1e-9)).sum(1).mean()
        mean = share.mean(0)
        return self.balance * (len(self.names) * (mean * mean).sum() - 1) - self.entropy * entropy
