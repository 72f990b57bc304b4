"""A training between epochs: ranking metrics after each, the best weights kept, and what was done saved."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import Field
from torch import Tensor

from rec_export.checkpoint import modules
from rec_export.errors import UsageError
from rec_export.metrics import gain
from rec_export.progress import in_parts, track
from rec_export.record import Record
from rec_export.towers import Towers
from trainers.batches import Device
from trainers.gates import Gates, Shares, idle
from trainers.journal import Journal, Progress, Tensors
from trainers.parallel import Group
from trainers.plan import Plan
from trainers.validation import Validation

log = logging.getLogger("rec_export")


class Epoch(Record):
    """A line of history.jsonl."""

    phase: str  # "search" for the number of epochs, "refit" on all rows
    epoch: int
    loss: float
    held_out: dict[str, float]
    seconds: float
    gate: Shares = Field(default_factory=dict)  # mean shares by length of history, of models with a gate
    gate_spread: Shares = Field(default_factory=dict)  # their standard deviations over users
    gate_entropy: dict[str, float] = Field(default_factory=dict)  # mean over users


class Trained(NamedTuple):
    """The towers with the best weights (or the last, if those are not kept), on the CPU in eval mode, and their way."""

    towers: Towers
    best_epoch: int
    held_out: dict[str, float]  # the metrics of the best epoch; empty when nothing was held out
    epochs: tuple[Epoch, ...]


class Course(ABC):
    """Epochs of whatever finds weights, ranking metrics after each, and the best weights kept."""

    def __init__(self, plan: Plan, held: Device, towers: Towers, group: Group) -> None:
        self.plan, self.held, self.towers, self.group = plan, held, towers, group
        self.gates = Gates(towers)
        self.listen: Callable[[Epoch], None] = lambda epoch: None  # hears of each epoch, and may end all by raising

    @abstractmethod
    def epoch(self, number: int) -> float:
        """One epoch; the mean loss. Raises TrainingError when it is not finite."""

    @abstractmethod
    def evaluated(self) -> Towers:
        """The towers as they are now, in eval mode."""

    def finish(self, towers: Towers) -> None:
        """Make the towers that were chosen what is exported."""
        return

    @abstractmethod
    def passed(self, loss: float, held_out: dict[str, float]) -> None:
        """Hear how an epoch went; nothing is held out in a refit."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], Tensors]:
        """All that decides how training goes on: what JSON holds, and tensors. Of several processes all must ask."""

    @abstractmethod
    def restore(self, state: dict[str, Any], tensors: Tensors) -> None:
        """Go on from what `state` gave."""

    def train(self, validation: Validation | None, phase: str, journal: Journal | None, keep: bool = True) -> Trained:
        """Epochs until the metric on `validation` stops growing; without one, all of plan.epochs.

        `keep`: whether the best epoch's weights are wanted; a copy of all weights is spared where only its number is.
        Goes on where the journal's progress of this phase ends. Of several processes the first one alone validates, and
        has a journal; all go through the same epochs to the same weights.
        """
        epochs, best, weights = self.resumed(phase, journal)
        for epoch in epochs:
            self.listen(epoch)
        numbers = range(len(epochs) + 1, self.plan.epochs + 1)
        for number in track(numbers, len(numbers), phase, logged=False) if self.group.first else numbers:
            if validation is not None and number - 1 - best >= self.plan.patience:
                break
            started = time.monotonic()
            loss = self.epoch(number)
            towers = self.evaluated()
            held_out: dict[str, float] = {}
            if validation is not None:
                with in_parts(f"validating epoch {number}", validation.parts):
                    held_out = self.group.broadcast(validation.measure(towers, self.held) if self.group.first else {})
            self.passed(loss, held_out)
            gates = {
                "gate": self.gates.shares(),
                "gate_spread": self.gates.spreads(),
                "gate_entropy": self.gates.entropies(),
            }
            seconds = round(time.monotonic() - started, 2)
            epochs.append(Epoch(phase=phase, epoch=number, loss=loss, held_out=held_out, seconds=seconds, **gates))
            self.tell(epochs[-2:])
            if validation is None or best == 0 or self.better(epochs[-1], epochs[best - 1]):
                best, weights = number, weights_of(towers) if validation and keep and self.group.first else {}
            ending = number == self.plan.epochs or (validation is not None and number - best >= self.plan.patience)
            if self.group.broadcast(journal is not None and journal.due(last=ending)):
                state, tensors = self.state()
                if journal is not None:
                    done, plan = [epoch.model_dump() for epoch in epochs], self.plan.model_dump(mode="json")
                    journal.save(phase, Progress(done, best, state, plan, tensors, weights))
            self.listen(epochs[-1])
        towers = self.evaluated()
        if weights:
            modules(towers).load_state_dict(weights)
        modules(towers).cpu().eval()
        self.finish(towers)
        return Trained(towers, best, epochs[best - 1].held_out, tuple(epochs))

    def tell(self, newest: list[Epoch]) -> None:
        """Say how the newest epoch went, the one before it at its side if there is one."""
        epoch = newest[-1]
        said = "".join(f", {name} {value:.4f}" for name, value in epoch.held_out.items() if name == self.plan.metric)
        said += "".join(f", {name} {share:.2f}" for name, share in epoch.gate.get("all", {}).items())
        of = "of at most" if epoch.held_out else "of"  # where nothing is held out nothing ends it early
        log.info("%s, epoch %d %s %d: loss %.4f%s", epoch.phase, epoch.epoch, of, self.plan.epochs, epoch.loss, said)
        before = idle(newest[0].gate) if len(newest) > 1 else []
        for name in (name for name in idle(epoch.gate) if name not in before):  # said once, when it happens
            log.warning("the gate has collapsed: the component %r is hardly used; raise model.balance", name)

    def resumed(self, phase: str, journal: Journal | None) -> tuple[list[Epoch], int, Tensors]:
        """The epochs that are done, the best of them, and its weights."""
        progress = self.group.broadcast(None if journal is None else journal.load(phase))
        if progress is None:
            return [], 0, {}
        if progress.plan != self.plan.model_dump(mode="json"):
            raise UsageError(
                "this training was begun by a version of rec-export that learns in another way; train without --resume"
            )
        self.restore(progress.state, progress.tensors)
        log.info("%s goes on after epoch %d", phase, len(progress.epochs))
        weights = progress.weights if self.group.first else {}
        return [Epoch(**epoch) for epoch in progress.epochs], progress.best, weights

    def better(self, one: Epoch, other: Epoch) -> bool:
        """Whether an epoch's metric is better than another's."""
        metric = self.plan.metric
        return gain(metric, one.held_out[metric]) > gain(metric, other.held_out[metric])


def weights_of(towers: Towers) -> dict[str, Tensor]:
    """A copy of all weights."""
    return {name: value.clone() for name, value in modules(towers).state_dict().items()}
