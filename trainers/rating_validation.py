"""The metrics after an epoch where values are predicted: RMSE, MAE and R2 on held-out rows."""

from typing import Self, final

import numpy as np
import torch
from torch import Tensor

from rec_export.data.columns import Int64
from rec_export.data.log import Events, known, make_log
from rec_export.inputs import attributes
from rec_export.metrics import Float64
from rec_export.progress import passed
from rec_export.rating_metrics import rating_metrics, sums
from rec_export.towers import Head, Towers
from trainers.baselines import Biases, Pairs
from trainers.batches import Device, pair_scores, read_by
from trainers.dataset import Dataset
from trainers.plan import Plan
from trainers.targets import Scale
from trainers.validation import Validation

ROWS = 200_000  # held-out rows that are looked at, at most
AT_ONCE = 8192  # pairs


@final
class ValueValidation(Validation):
    """Held-out rows of trained users and items, with their targets."""

    def __init__(self, dataset: Dataset, plan: Plan, held_out: Pairs) -> None:
        self.dataset, self.plan, self.held_out = dataset, plan, held_out
        self.parts = -(-len(held_out.user) // AT_ONCE)
        self.learned = Pairs.learned(dataset, plan.target)
        self.scale = Scale.of(self.learned.target)

    @classmethod
    def of(cls, dataset: Dataset, plan: Plan, later: Events) -> Self | None:
        """From held-out rows; None where none is of a trained user and a trained item."""
        users, items = dataset.catalogue.users, dataset.catalogue.items
        log = known(make_log(later, users.vocab, items.vocab))
        log = log.where((log.user_row < users.trained) & (log.item_row < items.trained))
        if len(log) == 0:
            return None
        some = np.sort(np.random.default_rng(0).permutation(len(log))[:ROWS])
        return cls(dataset, plan, Pairs.of(log.at(some), plan.target))

    @torch.no_grad()
    def measure(self, towers: Towers, state: Device) -> dict[str, float]:
        """The metrics of the model's predictions, such as {"rmse": 0.9}."""
        user, user_place = np.unique(self.held_out.user, return_inverse=True)
        item, item_place = np.unique(self.held_out.item, return_inverse=True)
        told = attributes({port.name for port in state.user_ports}, self.dataset.user_features.take(user), user)
        user_vec = towers.user_tower({port.name: told[port.name].to(state.device) for port in state.user_ports})
        items = read_by(state.item_ports, state.inputs_of(state.tensor(item), 0, hide=0.0))
        score = scores_of(towers.pair_head, user_vec, towers.item_tower(items), user_place, item_place)
        return self.judge(self.scale.mean + self.scale.std * score)

    def beside(self) -> dict[str, dict[str, float]]:
        """The same metrics of the mean, and of the biases of users and items."""
        users, items = self.dataset.catalogue.users.trained, self.dataset.catalogue.items.trained
        biases = Biases.of(self.learned, users, items)
        return {
            "constant": self.judge(np.full(len(self.held_out.user), self.scale.mean)),
            "biases": self.judge(biases.predict(self.held_out.user, self.held_out.item)),
        }

    def judge(self, predicted: Float64) -> dict[str, float]:
        """The metrics of predictions, float64 [R]."""
        total = sums(self.held_out.user, self.held_out.target, predicted).sum(0)
        return {name: round(float(value), 5) for name, value in rating_metrics(total).items()}


def scores_of(head: Head, user_vec: Tensor, item_vec: Tensor, user: Int64, item: Int64) -> Float64:
    """The scores of pairs of vectors, float32 [U, Du], float32 [I, Di], places int64 [R] -> float64 [R]."""
    parts = []
    for at in range(0, len(user), AT_ONCE):
        rows, columns = (torch.from_numpy(place[at : at + AT_ONCE]).to(user_vec.device) for place in (user, item))
        parts.append(pair_scores(head, user_vec[rows], item_vec[columns]).double().cpu().numpy())
        passed()
    return np.concatenate(parts) if parts else np.zeros(0)
