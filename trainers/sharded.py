"""Embedding tables whose rows are shared out: each process holds a stretch of them, and asks the others for the rest.

DTensor cuts the tables and brings them together again (stretches.py). It cannot look them up for us (torch 2.13): where
the gradient is sparse it has no rule ("Operator aten._sparse_coo_tensor_with_dims_and_tensors.default does not have a
sharding strategy registered"), and a dense one is as long as the whole table, in every process.
"""

import logging
from copy import deepcopy
from typing import Any, final

import torch
from torch import Tensor, nn

from rec_export.histories import HistoryEncoder
from trainers.journal import Tensors
from trainers.parallel import Group

log = logging.getLogger("rec_export")


@final
class ShardedTable(nn.Embedding):
    """One stretch of a table, float32 [n, D], which answers for all its `rows` where all processes ask together."""

    def __init__(self, stretch: Tensor, rows: int, group: Group) -> None:
        super().__init__(len(stretch), stretch.shape[1], _weight=stretch, sparse=True)
        self.rows, self.group = rows, group
        self.most = -(-rows // group.size)  # of each process but the last ones

    def forward(self, row: Tensor) -> Tensor:
        """int64 [...] below `rows` -> float32 [..., D]. Every process must ask, if for no row at all."""
        asked, place = torch.unique(row, return_inverse=True)  # ascending, so those of each process are side by side
        one = [1] * self.group.size
        mine = torch.bincount(asked // self.most, minlength=self.group.size)
        gets, gives = mine.tolist(), self.group.exchange(mine, one, one).tolist()
        wanted = self.group.exchange(asked, gets, gives) - self.group.rank * self.most
        answers = Answers.apply(super().forward(wanted), self.group, gives, gets)  # type: ignore[no-untyped-call]
        return nn.functional.embedding(place, answers)


class Answers(torch.autograd.Function):
    """Rows that go to the processes that asked for them; their gradients come back."""

    @staticmethod
    def forward(ctx: Any, vec: Tensor, group: Group, gives: list[int], gets: list[int]) -> Tensor:
        """float32 [sum of gives, D] -> float32 [sum of gets, D]."""
        ctx.way = group, gives, gets
        return group.exchange(vec, gives, gets)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None]:
        """float32 [sum of gets, D] -> float32 [sum of gives, D]."""
        group, gives, gets = ctx.way
        return group.exchange(slope.contiguous(), gets, gives), None, None, None


@final
class Shards:
    """The tables of a model in training that are shared out, if any. To make one whole needs all processes."""

    def __init__(self, roof: nn.Module, tables: list[nn.Embedding], group: Group) -> None:
        self.group, self.tables = group, dict[str, ShardedTable]()
        if not tables:
            return
        from trainers.stretches import Stretches  # here, as DTensor takes two seconds to load

        self.stretches = Stretches(group.size)
        for name, module in list(roof.named_modules()):
            if any(module is table for table in tables):
                whole = module.get_parameter("weight").detach()
                self.tables[name] = ShardedTable(self.stretches.own(whole), len(whole), group)
                put(roof, name, self.tables[name])
        for module in roof.modules():
            if isinstance(module, HistoryEncoder):  # its table is for exports: while it learns it meets what it needs
                module.table = module.table[:1].clone()
        self.tell()

    def tell(self) -> None:
        """Log how much memory this process needs for its stretches, and would for whole tables."""
        own = sum(table.weight.numel() for table in self.tables.values())
        whole = sum(table.rows * table.embedding_dim for table in self.tables.values())
        log.info(
            "%d long tables are shared out: this process holds %.1f of %.1f MB of weights, and as much of their means",
            len(self.tables), own * 4 / 1e6, whole * 4 / 1e6,
        )  # fmt: skip

    @property
    def weights(self) -> list[nn.Parameter]:
        """This process's stretches."""
        return [weight for table in self.tables.values() for weight in table.parameters()]

    def plain(self, roof: nn.Module) -> nn.Module:
        """A copy of a model with whole tables for the first process; the others get the model itself."""
        copy = deepcopy(roof) if self.tables and self.group.first else roof
        for name, table in self.tables.items():
            whole = self.stretches.whole(roof.get_submodule(name).get_parameter("weight"), table.rows)
            if self.group.first:
                put(copy, name, nn.Embedding.from_pretrained(whole.to(table.weight.device)))
        return copy

    def gathered(self, tensors: Tensors, rows: dict[str, int]) -> Tensors:
        """The same with whole tensors in place of stretches for the first process; `rows` says how long which are."""
        for name in sorted(rows.keys() & tensors.keys()):
            whole = self.stretches.whole(tensors[name], rows[name])
            if self.group.first:
                tensors = {**tensors, name: whole}
        return tensors

    def cut(self, tensors: Tensors, rows: dict[str, int]) -> Tensors:
        """The other way round, for every process."""
        return {n: self.stretches.own(value) if n in rows else value for n, value in tensors.items()}


def put(roof: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of another."""
    parent, _, leaf = name.rpartition(".")
    setattr(roof.get_submodule(parent), leaf, module)
