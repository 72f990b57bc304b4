"""Blocks that models share. Each takes whatever a caller may send: ids out of range, missing numbers, empty bags."""

from typing import final

import torch
from torch import Tensor, nn

from rec_export.towers import Dense


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

    def forward(self, row: Tensor) -> Tensor:
        """int64 [...] -> float32 [..., D]."""
        return self.table(torch.where((row < 0) | (row >= self.rows), self.rows, row))


@final
class DenseEncoder(nn.Module):
    """Raw numbers made fit for a network: imputed, sign(x) log(1 + |x|), standardised, cut at 8, and flags of the missing."""

    def __init__(self, columns: tuple[Dense, ...]) -> None:
        super().__init__()
        self.register_buffer("median", torch.tensor([c.median for c in columns]))
        self.register_buffer("mean", torch.tensor([c.mean for c in columns]))
        self.register_buffer("std", torch.tensor([c.std for c in columns]))

    def forward(self, dense: Tensor) -> Tensor:
        """float32 [B, P] -> float32 [B, 2 P], finite whatever comes."""
        missing = torch.isnan(dense)
        value = torch.where(missing, self.median.expand_as(dense), dense)
        value = torch.sign(value) * torch.log1p(torch.abs(value))
        value = ((value - self.mean) / self.std).clamp(-8.0, 8.0)
        return torch.cat([value, missing.to(value.dtype)], 1)


@final
class CategoryEncoder(nn.Module):
    """The sum of one embedding a column; what a column does not know has its own embedding there."""

    def __init__(self, values: tuple[int, ...], dim: int, std: float) -> None:
        super().__init__()
        self.columns = nn.ModuleList([SafeEmbedding(n, dim, std) for n in values])

    def forward(self, category: Tensor) -> Tensor:
        """int64 [B, C] -> float32 [B, D]."""
        total = torch.zeros([category.shape[0], 1], device=category.device)
        for place, column in enumerate(self.columns):
            total = total + column(category[:, place])
        return total


@final
class BagEncoder(nn.Module):
    """The mean embedding of a bag; places outside 0..rows-1 (unused or unknown) count for nothing; an empty bag is zero."""

    def __init__(self, rows: int, dim: int, std: float) -> None:
        super().__init__()
        self.rows = rows
        self.embedding = SafeEmbedding(rows, dim, std)

    def forward(self, tags: Tensor) -> Tensor:
        """int64 [B, T] -> float32 [B, D]."""
        live = ((tags >= 0) & (tags < self.rows)).unsqueeze(2).to(self.embedding.table.weight.dtype)
        return (self.embedding(tags) * live).sum(1) / live.sum(1).clamp(min=1.0)
