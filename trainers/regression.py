"""Learning the values of rows, ratings or plays: rows as examples, and squared errors with a prior on ids."""

import math
from collections.abc import Iterator
from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.data.clock import Clock
from rec_export.towers import ModelSpec, Towers
from trainers.baselines import Pairs
from trainers.batches import Device, pair_scores, read_by
from trainers.dataset import Dataset
from trainers.examples import Batch, Examples
from trainers.plan import Plan
from trainers.targets import Scale

NOTHING = np.zeros(0, np.int64)


@final
class Rows(Examples):
    """Each row of a log is an example: its user, its item, and its target as a z-score."""

    def __init__(self, dataset: Dataset, plan: Plan) -> None:
        self.pairs = Pairs.learned(dataset, plan.target)
        self.scale = Scale.of(self.pairs.target)
        self.value = ((self.pairs.target - self.scale.mean) / self.scale.std).astype(np.float32)
        self.moments = [dataset.timeline.as_of(None, Clock())]

    def __len__(self) -> int:
        return len(self.value)

    def steps(self, size: int) -> int:
        """The number of batches of one epoch."""
        return math.ceil(len(self.value) / size)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch; histories are empty, as the value to be predicted would show in them."""
        for row in np.array_split(rng.permutation(len(self.value)), self.steps(size)):
            yield Batch(
                moment=0,
                user=self.pairs.user[row],
                history=np.full((len(row), 1), -1),
                size=np.zeros(len(row), np.int64),
                context=np.zeros((len(row), 0), np.float32),
                owner=np.arange(len(row)),
                target=self.pairs.item[row],
                weight=np.ones(len(row), np.float32),
                seen_owner=NOTHING,
                seen=NOTHING,
                value=self.value[row],
            )


@final
class Squares:
    """Squared errors, and the squares of each id's embeddings: the posterior of PMF.

    sum (z - score)^2 + user_prior sum |p_u|^2 + item_prior sum |q_i|^2, over rows, users and items: equation 4 of
    Salakhutdinov and Mnih 2007, Probabilistic Matrix Factorization (NIPS 20). Each row carries its share of its user's
    and its item's squares, as decay at every step would wear down what is seldom seen whatever it has learned. The
    prior of a bias is the plan's; that of wider embeddings, which overfit first, is no weaker than `embedding_prior`.
    """

    def __init__(self, spec: ModelSpec, towers: Towers, rows: Rows, plan: Plan, device: torch.device) -> None:
        self.spec, self.towers, self.scale = spec, towers, rows.scale
        self.tables = spec.id_tables(towers)
        counts = np.bincount(rows.pairs.user), np.bincount(rows.pairs.item)
        shares = [torch.from_numpy((1 / np.maximum(n, 1)).astype(np.float32)).to(device) for n in counts]
        self.least = plan.embedding_prior
        self.priors = list(zip((plan.user_prior, plan.item_prior), shares, strict=True))

    def loss(self, batch: Batch, state: Device, hide: float) -> Tensor:
        """The mean over the batch, or a part's share of it, float32 []; a share of ids is hidden."""
        columns = batch.user, batch.target, batch.value, batch.weight
        user, item, value, weight = (state.tensor(column) for column in columns)
        user_vec = self.towers.user_tower(state.users(batch, NOTHING, hide))
        item_vec = self.towers.item_tower(read_by(state.item_ports, state.inputs_of(item, batch.moment, hide)))
        each = (pair_scores(self.towers.pair_head, user_vec, item_vec).float() - value).square()
        sides = zip(self.tables, self.priors, (user, item), strict=True)
        for tables, (prior, share), row in sides:
            for vec in (table(row) for table in tables):
                strength = prior if vec.shape[1] == 1 else max(prior, self.least)
                each = each + strength * share[row] * vec.square().sum(1)
        return (each * weight).sum()

    def in_units(self, towers: Towers) -> None:
        """Make the scores of trained towers values instead of z-scores."""
        self.spec.in_units(towers, self.scale.std, self.scale.mean)
