"""How the learning rate changes over a training, by torch's own schedulers."""

from typing import Any, final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau, StepLR

from rec_export.metrics import gain
from trainers.plan import Plan

LEAST = 0.01  # of the first learning rate, at the end of a cosine
THIRDS = 3
PATIENCE = 1  # epochs without a better metric before a plateau is left


@final
class Schedule:
    """The schedule of a plan, laid out for `plan.course` epochs, of which a refit may do fewer."""

    def __init__(self, optimizer: Optimizer, plan: Plan, steps: int) -> None:
        self.plan = plan
        total, third = plan.course * steps, -(-plan.course * steps // THIRDS)
        self.cosine = CosineAnnealingLR(optimizer, total, plan.lr * LEAST) if plan.schedule == "cosine" else None
        self.thirds = StepLR(optimizer, third, gamma=0.5) if plan.schedule == "step" else None
        self.plateau = (
            ReduceLROnPlateau(optimizer, "max", 0.5, PATIENCE, threshold_mode="abs")
            if plan.schedule == "plateau"
            else None
        )

    def step(self) -> None:
        """After each batch."""
        for by_step in (self.cosine, self.thirds):
            if by_step is not None:
                by_step.step()

    def state(self) -> dict[str, Any]:
        """What decides how the rate goes on."""
        return {name: one.state_dict() for name, one in self.torchs().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for name, one in self.torchs().items():
            one.load_state_dict(state[name])

    def torchs(self) -> dict[str, LRScheduler]:
        """The scheduler in use, if any."""
        every = {"cosine": self.cosine, "thirds": self.thirds, "plateau": self.plateau}
        return {name: one for name, one in every.items() if one is not None}

    def epoch(self, loss: float, held_out: dict[str, float]) -> None:
        """After each epoch; where nothing is held out the loss tells whether it still gets better."""
        if self.plateau is not None:
            metric = self.plan.metric
            self.plateau.step(gain(metric, held_out[metric]) if held_out else -loss)
