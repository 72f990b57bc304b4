"""How a model's predictions of held-out values err, and the items that it places high or low for everybody."""

from typing import NamedTuple

import numpy as np
import torch

from rec_export.analysis import ItemBias, Predictions
from rec_export.catalogue import Catalogue, rows
from rec_export.checkpoint import Checkpoint
from rec_export.data.columns import Int64
from rec_export.metrics import Float64
from rec_export.scorer import Model, chunks
from trainers.baselines import Pairs
from trainers.ratings import HeldOutValues, predicted, vectors

USERS = 500  # whose mean tells an item's effect
ITEMS_AT_ONCE = 2048
SHOWN = 10  # items at each end


class Known(NamedTuple):
    """The known rows of each item."""

    rows: Int64  # [N]
    mean: Float64  # [N] of their targets
    most: Float64  # [N]

    @classmethod
    def of(cls, known: Pairs, items: int) -> "Known":
        """From the known rows; items without one have NaN."""
        count = np.bincount(known.item, minlength=items)
        most = np.full(items, -np.inf)
        np.maximum.at(most, known.item, known.target)
        with np.errstate(invalid="ignore"):
            mean = np.bincount(known.item, known.target, items) / count
        return cls(count, mean, most)


def analysed(checkpoint: Checkpoint, held_out: HeldOutValues, device: torch.device) -> Predictions:
    """The analysis of a checkpoint's predictions."""
    effect = effects(checkpoint, held_out, device)
    known = Known.of(held_out.known, len(effect))
    there = np.flatnonzero(known.rows > 0)
    order = there[np.argsort(-effect[there], kind="stable")]

    def told(item: int) -> ItemBias:
        return ItemBias(
            item=str(held_out.catalogue.items.vocab.ids[item].as_py()),
            title=title(held_out.catalogue, checkpoint, item),
            effect=round(float(effect[item]), 5),
            rows=int(known.rows[item]),
            mean=round(float(known.mean[item]), 5),
            most=round(float(known.most[item]), 5),
        )

    high, low = order[:SHOWN].tolist(), order[SHOWN:][::-1][:SHOWN].tolist()
    scores = predicted(checkpoint, held_out, device)
    return Predictions.measured(held_out.judged.target, scores, tuple(map(told, high)), tuple(map(told, low)))


def effects(checkpoint: Checkpoint, held_out: HeldOutValues, device: torch.device) -> Float64:
    """Each item's mean prediction over some trained users, less that over all trained items, float64 [N]; untrained: 0.

    Of a model with biases that is about the item's bias, whatever the model is.
    """
    model, catalogue = Model.of_checkpoint(checkpoint, device), held_out.catalogue
    trained = catalogue.users.trained
    users = np.sort(np.random.default_rng(0).permutation(trained)[:USERS])
    user_vec = vectors(model.user_tower, model.user_ports, catalogue.users, users)
    head, parts = model.head.to(device), []
    with torch.inference_mode():
        for item in chunks(rows(catalogue.items)[: catalogue.items.trained], ITEMS_AT_ONCE):
            item_vec = vectors(model.item_tower, model.item_ports, catalogue.items, item)
            parts.append(head(user_vec, item_vec).double().mean(0).cpu().numpy())
    mean = np.concatenate(parts)
    return np.concatenate([mean - mean.mean(), np.zeros(catalogue.items.table.num_rows - len(mean))])


def title(catalogue: Catalogue, checkpoint: Checkpoint, item: int) -> str | None:
    """The first text column of an item, where there is one."""
    declared = checkpoint.blueprint.data.items
    if declared is None or not declared.text:
        return None
    found = catalogue.items.table[declared.text[0]][item].as_py()
    return None if found is None else str(found)
