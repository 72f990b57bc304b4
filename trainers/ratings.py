"""Judge predicted values on held-out rows: RMSE, MAE and R2 beside the mean and the biases of users and items."""

from typing import NamedTuple, Self, final

import numpy as np
import torch

from rec_export.catalogue import Catalogue, Side
from rec_export.checkpoint import Checkpoint
from rec_export.config import Target
from rec_export.data.columns import Bool, Int64
from rec_export.data.log import Events, make_log
from rec_export.errors import DataError
from rec_export.inputs import attributes
from rec_export.metrics import Estimate, Float64
from rec_export.rating_metrics import rating_estimates, sums
from rec_export.record import Record
from rec_export.runtime import Tower
from rec_export.scorer import Model, chunks
from rec_export.towers import Input
from trainers.baselines import Biases, Pairs, Ridge
from trainers.rating_validation import scores_of


@final
class RatingSegment(Record):
    """Rows of one kind, and how well each predictor told their values."""

    rows: int
    users: int
    metrics: dict[str, dict[str, Estimate]]  # by predictor
    paired: dict[str, dict[str, Estimate]]  # the model's metrics minus those of each other predictor


@final
class RatingEvaluation(Record):
    """By kind of rows: all, warm (user and item both have known rows) and cold (the others)."""

    target: Target
    ridge: Ridge  # of the biases
    segments: dict[str, RatingSegment]


class HeldOutValues(NamedTuple):
    """The known rows and the held-out ones, in rows of one catalogue that holds the users and items of both."""

    catalogue: Catalogue
    known: Pairs
    judged: Pairs

    @classmethod
    def of(cls, checkpoint: Checkpoint, known: Events, test: Events) -> Self:
        """All held-out rows, liked or not, repeats among them. Raises DataError where they have no values."""
        if test.value is None:
            raise DataError("the held-out rows have no values to compare predictions with")
        users, items = checkpoint.catalogue
        users = users.grown(known.user_id.present(), None).grown(test.user_id.present(), None)
        items = items.grown(known.item_id.present(), None).grown(test.item_id.present(), None)
        target = checkpoint.blueprint.target
        before, later = (Pairs.of(make_log(rows, users.vocab, items.vocab), target) for rows in (known, test))
        return cls(Catalogue(users, items), before, later)

    def segments(self) -> dict[str, Bool]:
        """The rows of each kind, bool [R]."""
        warm = np.isin(self.judged.user, self.known.user) & np.isin(self.judged.item, self.known.item)
        return {"all": np.ones(len(warm), bool), "warm": warm, "cold": ~warm}


def judged_values(
    checkpoint: Checkpoint, known: Events, test: Events, device: torch.device, bootstrap: int, other: Checkpoint | None
) -> RatingEvaluation:
    """The model's predictions beside the baselines', and those of another checkpoint that predicts the same."""
    held_out = HeldOutValues.of(checkpoint, known, test)
    judged, biases = held_out.judged, biases_of(held_out)
    predictions = {"model": predicted(checkpoint, held_out, device)}
    if other is not None and (other.blueprint.loss, other.blueprint.target) == ("mse", checkpoint.blueprint.target):
        predictions["against"] = predicted(other, HeldOutValues.of(other, known, test), device)
    predictions["constant"] = np.full(len(judged.target), biases.mean)
    predictions["biases"] = biases.predict(judged.user, judged.item)
    return RatingEvaluation(
        target=checkpoint.blueprint.target,
        ridge=biases.ridge,
        segments={
            name: segment(judged.at(rows), {who: values[rows] for who, values in predictions.items()}, bootstrap)
            for name, rows in held_out.segments().items()
        },
    )


def biases_of(held_out: HeldOutValues) -> Biases:
    """The mean and the biases of the known rows."""
    users, items = held_out.catalogue
    return Biases.of(held_out.known, users.table.num_rows, items.table.num_rows)


def segment(rows: Pairs, predictions: dict[str, Float64], bootstrap: int) -> RatingSegment:
    """The metrics of every predictor on some rows; none where there are no rows."""
    if len(rows.user) == 0:
        return RatingSegment(rows=0, users=0, metrics={}, paired={})
    totals = {who: sums(rows.user, rows.target, values) for who, values in predictions.items()}
    model = totals["model"]
    return RatingSegment(
        rows=len(rows.user),
        users=len(model),
        metrics={who: rating_estimates(total, bootstrap) for who, total in totals.items()},
        paired={who: rating_estimates(model, bootstrap, total) for who, total in totals.items() if who != "model"},
    )


def predicted(checkpoint: Checkpoint, held_out: HeldOutValues, device: torch.device) -> Float64:
    """The scores of the held-out pairs by the checkpoint's own towers, float64 [R]; unknown ids too."""
    model, judged = Model.of_checkpoint(checkpoint, device), held_out.judged
    user, user_place = np.unique(judged.user, return_inverse=True)
    item, item_place = np.unique(judged.item, return_inverse=True)
    users, items = held_out.catalogue
    user_vec = vectors(model.user_tower, model.user_ports, users, user)
    item_vec = vectors(model.item_tower, model.item_ports, items, item)
    with torch.inference_mode():
        return scores_of(model.head.to(device), user_vec, item_vec, user_place, item_place)


def vectors(tower: Tower, ports: tuple[Input, ...], side: Side, row: Int64) -> torch.Tensor:
    """The vectors of rows int64 [n], float32 [n, D], by a tower that reads ids and attributes alone."""
    parts = []
    for part in chunks(row):
        told = attributes({port.name for port in ports}, side.features(part), part)
        parts.append(tower({port.name: told[port.name] for port in ports}))
    return torch.cat(parts)
