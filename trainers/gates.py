"""What gates do while a model learns: their part of the loss, their mean shares by segment, whether one collapsed."""

from typing import final

import torch
from torch import Tensor, nn

from rec_export.data.columns import Int64
from rec_export.layers import Gate
from rec_export.towers import Towers
from trainers.parallel import Group

SEGMENTS = {"<=3": (0, 3), "4-10": (4, 10), "11-30": (11, 30), ">30": (31, None)}  # items of history
IDLE = 0.02  # a component with a smaller share of all users is as good as not there

Shares = dict[str, dict[str, float]]  # by segment ("all" and those of SEGMENTS) and component


@final
class Gates:
    """The gates of a user tower in training; a tower without any has no part in the loss and nothing to tell."""

    def __init__(self, towers: Towers) -> None:
        self.gates = [module for module in towers.user_tower.modules() if isinstance(module, Gate)]
        self.names = [name for gate in self.gates for name in gate.names]
        self.now: list[Tensor] = []
        self.forget()
        for gate in self.gates:
            gate.register_forward_hook(self.hear)

    def hear(self, gate: nn.Module, told: tuple[Tensor, ...], share: Tensor) -> None:
        """Keep the shares of the batch, float32 [B, components]."""
        self.now.append(share)

    def forget(self) -> None:
        """Begin a new epoch."""
        # share and its square of each component, then the entropy of each gate
        self.sums = torch.zeros(len(SEGMENTS), 2 * len(self.names) + len(self.gates), dtype=torch.float64)
        self.users = torch.zeros(len(SEGMENTS), dtype=torch.float64)

    def penalty(self, length: Int64) -> Tensor | float:
        """The gates' part of the loss for the batch that was just computed, of users with histories of int64 [B]."""
        if not self.gates:
            return 0.0
        shares, self.now = self.now, []
        with torch.no_grad():
            first = torch.tensor([low for low, _ in SEGMENTS.values()])
            segment = torch.bucketize(torch.from_numpy(length), first, right=True) - 1
            share = torch.cat(shares, 1).double()
            entropy = torch.stack([torch.special.entr(one.double()).sum(1) for one in shares], 1)
            self.sums.index_add_(0, segment, torch.cat([share, share**2, entropy], 1).cpu())
            self.users += torch.bincount(segment, minlength=len(SEGMENTS))
        return torch.stack([gate.penalty(share) for gate, share in zip(self.gates, shares, strict=True)]).sum()

    def add_up(self, group: Group) -> None:
        """Make the sums those of all processes."""
        if self.gates:
            self.sums, self.users = group.sum(self.sums), group.sum(self.users)

    def means(self) -> dict[str, Tensor]:
        """The means over the epoch's users of what is summed, in the segments that have users."""
        if not self.gates:
            return {}
        table = {"all": self.sums.sum(0) / self.users.sum().clamp(min=1)}
        return table | {
            name: total / users for name, total, users in zip(SEGMENTS, self.sums, self.users, strict=True) if users > 0
        }

    def shares(self) -> Shares:
        """The mean shares of the epoch."""
        return {segment: self.named(mean[: len(self.names)]) for segment, mean in self.means().items()}

    def spreads(self) -> Shares:
        """The standard deviations of the shares over users: a gate that gives everybody the same has none."""
        size, spreads = len(self.names), {}
        for segment, mean in self.means().items():
            share, square = mean[:size], mean[size : 2 * size]
            spreads[segment] = self.named((square - share**2).clamp(min=0).sqrt())
        return spreads

    def entropies(self) -> dict[str, float]:
        """The mean entropy of a user's shares; log(components) where all are equal, 0 where one has all."""
        return {name: round(float(mean[2 * len(self.names) :].mean()), 4) for name, mean in self.means().items()}

    def named(self, values: Tensor) -> dict[str, float]:
        """A number for each component, float64 [components]."""
        return dict(zip(self.names, [round(value, 4) for value in values.tolist()], strict=True))


def idle(shares: Shares) -> list[str]:
    """The components that have collapsed: hardly any share of any user."""
    return [name for name, share in shares.get("all", {}).items() if share < IDLE]
