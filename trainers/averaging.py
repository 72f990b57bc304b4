"""The running mean of the weights, which is what is kept; it forgets by time, also where a row is seldom moved."""

from copy import deepcopy
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

EVERY = 4  # steps, for all that is no long table; at each one it would take a twelfth of the time

Tensors = dict[str, Tensor]


class LongMean(NamedTuple):
    """A long table as it is now, its mean, and the step up to which each row of the mean has been brought."""

    now: nn.Parameter
    mean: Tensor
    upto: Tensor  # int64 [rows]


@final
class Averaged:
    """A copy of a module, whose weights are the exponential moving average of the module's own: `keep` stays a step.

    A row of a long table (one that learns by sparse gradients) is brought up when it is about to move, and when the
    mean is looked at: while it rests for n steps, its distance to the mean shrinks to keep^n of what it was.
    """

    def __init__(self, module: nn.Module, keep: float, tables: list[nn.Embedding]) -> None:
        self.keep, self.steps, self.followed = keep, 0, 0
        self.module = deepcopy(module)
        long = {id(table.weight) for table in tables}
        pairs = [(now, mean.detach()) for now, mean in zip(module.parameters(), self.module.parameters(), strict=True)]
        self.long = [
            LongMean(now, mean, torch.zeros(len(now), dtype=torch.int64, device=now.device))
            for now, mean in pairs
            if id(now) in long
        ]
        self.short = [(now, mean) for now, mean in pairs if id(now) not in long]

    @torch.no_grad()
    def before_step(self) -> None:
        """Bring up the rows that the gradients are about to move."""
        for table in self.long:
            if table.now.grad is not None:
                row = table.now.grad.indices()[0]
                now, mean, upto = (of.index_select(0, row) for of in table)  # `of[row]` takes thrice as long
                rest = self.keep ** (self.steps - upto).to(mean.dtype)
                table.mean[row] = torch.lerp(now, mean, rest.unsqueeze(1))
                table.upto[row] = self.steps

    @torch.no_grad()
    def after_step(self, last: bool) -> None:
        """Follow every few steps, and at the `last` one before the mean is looked at."""
        self.steps += 1
        if self.short and (self.steps % EVERY == 0 or last):
            now, mean = ([pair[side] for pair in self.short] for side in (0, 1))
            if self.steps <= EVERY:
                torch._foreach_copy_(mean, now)
            else:
                torch._foreach_lerp_(mean, now, 1 - self.keep ** (self.steps - self.followed))
            self.followed = self.steps
        if last:
            for table in self.long:
                rest = self.keep ** (self.steps - table.upto).to(table.mean.dtype)
                torch.lerp(table.now, table.mean, rest.unsqueeze(1), out=table.mean)
                table.upto.fill_(self.steps)

    def state(self) -> Tensors:
        """All that decides how the mean goes on."""
        upto = {f"upto.{place}": table.upto for place, table in enumerate(self.long)}
        counts = {"steps": torch.tensor(self.steps), "followed": torch.tensor(self.followed)}
        return {**counts, **upto, **prefixed("mean.", self.module.state_dict())}

    def restore(self, tensors: Tensors) -> None:
        """Go on from what `state` gave."""
        self.steps, self.followed = int(tensors["steps"]), int(tensors["followed"])
        for place, table in enumerate(self.long):
            table.upto.copy_(tensors[f"upto.{place}"])
        self.module.load_state_dict(part_of(tensors, "mean."))


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors with a prefix before their names."""
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def part_of(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
