"""The training loop: epochs over examples, a ranking metric after each, and the best weights kept."""

import logging
import math
import time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rec_export.checkpoint import modules
from rec_export.config import Training
from rec_export.errors import TrainingError
from rec_export.layers import HistoryEncoder
from rec_export.progress import track
from rec_export.record import Record
from rec_export.towers import ModelSpec, Sizes, Towers
from trainers.batches import Device, take
from trainers.dataset import Dataset
from trainers.examples import Batch, Examples, examples_of
from trainers.losses import full_softmax, sampled_softmax
from trainers.plan import Plan
from trainers.validation import Validation

log = logging.getLogger("rec_export")
FULL_WORK = 50_000_000  # scores of an epoch up to which all items are candidates
NEGATIVES = 1000
CLIP = 5.0


class Epoch(Record):
    """A line of history.jsonl."""

    phase: str  # "search" for the number of epochs, "refit" on all rows
    epoch: int
    loss: float
    metric: float | None
    seconds: float


class Trained(NamedTuple):
    """The towers with the best weights, on the CPU in eval mode, and how they came about."""

    towers: Towers
    best_epoch: int
    held_out: dict[str, float]  # the metrics of the best epoch; empty when nothing was held out
    epochs: tuple[Epoch, ...]


def sizes_of(dataset: Dataset, plan: Plan, context: int) -> Sizes:
    """What the model must know of this dataset."""
    clock = plan.clock
    users, items = dataset.catalogue.users.sizes, dataset.catalogue.items.sizes
    return Sizes(
        users=users, items=items, context=context, trend=clock.trends, counts=clock.counts, ordered=clock.timed
    )  # fmt: skip


def train(
    spec: ModelSpec, dataset: Dataset, sizes: Sizes, plan: Plan, training: Training, length: int,
    device: torch.device, validation: Validation | None, phase: str,
) -> Trained:  # fmt: skip
    """Train fresh towers on a dataset, by a validation until its metric stops growing, or for plan.epochs."""
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    towers = spec.build(sizes)
    roof = modules(towers).to(device)
    examples = examples_of(dataset.timeline, plan.clock, length)
    if len(examples) == 0:
        raise TrainingError(
            "there is nothing to learn from: no user has a liked item; check data.interactions.positive"
        )
    state = Device(dataset, spec, sizes, examples.moments, device)
    optimizer = optimizer_of(roof, plan, training)
    negatives = training.negatives or (None if len(examples) * sizes.items.rows <= FULL_WORK else NEGATIVES)
    epochs: list[Epoch] = []
    best = Best(0, {}, {})
    for number in range(1, plan.epochs + 1):
        started = time.monotonic()
        loss = one_epoch(towers, roof, optimizer, examples, state, plan, training, negatives, number, rng)
        refresh(towers, state)
        held_out = {} if validation is None else validation.measure(towers, state)
        metric = held_out.get(training.metric)
        epochs.append(
            Epoch(phase=phase, epoch=number, loss=loss, metric=metric, seconds=round(time.monotonic() - started, 2))
        )
        said = "" if metric is None else f", {training.metric} {metric:.4f}"
        log.info("%s, epoch %d of at most %d: loss %.4f%s", phase, number, plan.epochs, loss, said)
        if metric is None:
            continue
        if best.epoch == 0 or metric > best.held_out[training.metric]:
            best = Best(number, held_out, {name: value.detach().clone() for name, value in roof.state_dict().items()})
        elif number - best.epoch >= plan.patience:
            break
    for encoder in history_encoders(towers):
        encoder.table = encoder.table.detach()
    if best.weights:
        roof.load_state_dict(best.weights)
    roof.cpu().eval()
    return Trained(towers, best.epoch or plan.epochs, best.held_out, tuple(epochs))


class Best(NamedTuple):
    """The epoch with the best metric so far, and its weights."""

    epoch: int
    held_out: dict[str, float]
    weights: dict[str, Tensor]


def one_epoch(
    towers: Towers, roof: nn.Module, optimizer: torch.optim.Optimizer, examples: Examples, state: Device,
    plan: Plan, training: Training, negatives: int | None, number: int, rng: np.random.Generator,
) -> float:  # fmt: skip
    """One pass over the examples; the mean loss. Raises TrainingError when it is not finite."""
    roof.train()
    total = torch.zeros([], device=state.device)
    steps = examples.steps(plan.batch)
    for step, batch in enumerate(track(examples.batches(plan.batch, rng), steps, f"epoch {number}"), 1):
        loss = loss_of(towers, batch, state, training.id_dropout, negatives)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(roof.parameters(), CLIP)
        optimizer.step()
        total += loss.detach()
        if not math.isfinite(total.item()):
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {number}, step {step} of {steps}; the learning rate ({plan.lr:g}) is"
                " probably too high, or a value in the data is beyond reason"
            )
    return round(total.item() / steps, 5)


def loss_of(towers: Towers, batch: Batch, state: Device, hide: float, negatives: int | None) -> Tensor:
    """The loss of one batch, float32 []."""
    columns = state.columns(batch, negatives)
    items = state.every_item(batch.moment, hide)
    for encoder in history_encoders(towers):
        encoder.refresh(items)
    user_vec = towers.user_tower(state.users(batch, hide))
    item_vec = towers.item_tower(take(items, state.item_ports, columns.item))
    score = towers.pair_head(user_vec, item_vec)
    weight = state.tensor(batch.weight)
    if columns.sampled == 0:
        return full_softmax(score, columns.targets, weight, columns.excluded)
    return sampled_softmax(score, columns.targets, weight, columns.excluded, columns.sampled, state.items)


def optimizer_of(roof: nn.Module, plan: Plan, training: Training) -> torch.optim.Optimizer:
    """AdamW with decay of its own for embeddings (Loshchilov and Hutter 2019, arXiv:1711.05101): coupled to the gradient it
    would erase the rows that are rarely seen. Biases hardly decay.
    """
    tables = [m.weight for m in roof.modules() if isinstance(m, nn.Embedding)]
    embeddings = [w for w in tables if w.shape[1] > 1]
    biases = [w for w in tables if w.shape[1] == 1]
    known = {id(w) for w in tables}
    others = [w for w in roof.parameters() if id(w) not in known]
    groups = [
        {"params": embeddings, "weight_decay": plan.embedding_decay},
        {"params": [*biases, *others], "weight_decay": training.decay},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=plan.lr, betas=(0.9, 0.99), fused=True)


def history_encoders(towers: Towers) -> list[HistoryEncoder]:
    """The encoders whose tables follow from other weights."""
    return [module for module in towers.user_tower.modules() if isinstance(module, HistoryEncoder)]


@torch.no_grad()
def refresh(towers: Towers, state: Device) -> None:
    """Bring the history tables up to the weights, for use outside training."""
    modules(towers).eval()
    for encoder in history_encoders(towers):
        encoder.refresh(state.every_item(0, hide=0.0))
