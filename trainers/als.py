"""Alternating least squares by the `implicit` library. An iteration is an epoch; validation chooses how many."""

from functools import partial
from typing import Any, final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from threadpoolctl import ThreadpoolController
from torch import nn

from rec_export.data.columns import Float32
from rec_export.errors import EnvironmentMissingError, TrainingError
from rec_export.models.als import Factors, Spec
from rec_export.towers import ModelSpec, Sizes, Towers
from rec_export.world import Timeline
from trainers.batches import Device
from trainers.course import Course
from trainers.dataset import Dataset
from trainers.examples import LIKED_ONCE, alike, worth
from trainers.journal import Tensors
from trainers.parallel import Group
from trainers.plan import Plan

try:
    from implicit.cpu.als import AlternatingLeastSquares
except ModuleNotFoundError as error:
    raise EnvironmentMissingError(
        "the model als needs the package implicit, which is not here; install it with `pip install implicit`"
    ) from error

LOOKED_AT = 1 << 14  # likings, for the loss


@final
class AlsRun(Course):
    """Factors on their way to the least squares, on the CPU; the solver writes into the tables of the towers."""

    def __init__(self, spec: ModelSpec, sizes: Sizes, dataset: Dataset, plan: Plan, group: Group) -> None:
        assert isinstance(spec, Spec)
        world = dataset.timeline.as_of(None, plan.clock)
        state = Device(dataset, spec, sizes, [world], plan.recent, torch.device("cpu"))
        self.weighed = weighed_matrix(dataset.timeline, sizes, spec.alpha, plan.by_value)
        if self.weighed.nnz == 0:
            raise TrainingError("nobody likes anything, so there is nothing to learn; check data.interactions.positive")
        self.by_item = self.weighed.T.tocsr()
        super().__init__(plan, state, spec.build(sizes), group)
        self.user, self.item = (factors_of(tower) for tower in (self.towers.user_tower, self.towers.item_tower))
        rng = np.random.default_rng(plan.seed)
        for factors in (self.user, self.item):  # as the library begins
            factors[:] = rng.random(factors.shape, dtype=np.float32) * 0.01
        self.regularization = spec.regularization
        self.libraries = ThreadpoolController()
        with self.libraries.limit(limits=1, user_api="blas"):  # implicit has threads of its own, and warns of BLAS's
            self.solver = AlternatingLeastSquares(factors=spec.factors)

    def epoch(self, number: int) -> float:
        """Solve for the users, then for the items; the loss.

        The library's `fit` would weigh and turn the matrix anew each time, and take a quarter of its time for the loss.
        """
        solve = partial(self.solver.solver, num_threads=self.solver.num_threads)
        with self.libraries.limit(limits=1, user_api="blas"):
            solve(self.weighed, self.user, self.item, self.regularization)
            solve(self.by_item, self.item, self.user, self.regularization)
            loss = loss_of(self.weighed, self.user, self.item, self.regularization)
        if not (np.isfinite(self.user).all() and np.isfinite(self.item).all()):
            raise TrainingError(
                f"the factors are not finite after iteration {number}; raise model.regularization, or lower model.alpha"
            )
        return round(loss, 5)

    def state(self) -> tuple[dict[str, Any], Tensors]:
        """The factors; the first ones alone are random."""
        return {}, {"user": torch.from_numpy(self.user), "item": torch.from_numpy(self.item)}

    def restore(self, state: dict[str, Any], tensors: Tensors) -> None:
        """The same, put back."""
        self.user[:], self.item[:] = tensors["user"].numpy(), tensors["item"].numpy()

    def passed(self, loss: float, held_out: dict[str, float]) -> None:
        """The solver has no rate that could follow."""

    def evaluated(self) -> Towers:
        """The towers as they are; the row of those who were not in training stays zero."""
        return self.towers


def factors_of(tower: nn.Module) -> Float32:
    """The factors of those who are in training, in place."""
    assert isinstance(tower, Factors)
    return tower.embedding.own()


def weighed_matrix(timeline: Timeline, sizes: Sizes, alpha: float, by_value: bool = True) -> csr_matrix:
    """The confidence in each liking, float32 [users, items], each user's items ascending; 0 where nothing is known."""
    shape = len(timeline.start) - 1, timeline.items
    weight = worth(timeline) if by_value else alike(LIKED_ONCE, len(timeline.item_row))
    confidence = np.float32(alpha) * weight.astype(np.float32)
    whole = csr_matrix((confidence, timeline.item_row.copy(), timeline.start), shape=shape)
    whole.sort_indices()
    return whole if shape == (sizes.users.rows, sizes.items.rows) else whole[: sizes.users.rows, : sizes.items.rows]


def loss_of(weighed: csr_matrix, user: Float32, item: Float32, regularization: float) -> float:
    """What the iterations make least, as the library defines it: the squared errors of all pairs and the ridge.

    Divided by the confidence in all pairs, which is 1 where nothing is known. Of a large log a sample of the likings is
    looked at, always the same ones, and stands for all.
    """
    if weighed.nnz <= LOOKED_AT:
        place = np.arange(weighed.nnz)
    else:
        place = np.sort(np.random.default_rng(0).integers(weighed.nnz, size=LOOKED_AT))
    owner = np.searchsorted(weighed.indptr, place, side="right") - 1
    score = np.einsum("nd,nd->n", user.take(owner, 0), item.take(weighed.indices[place], 0))
    known = float((weighed.data[place] * (1 - score) ** 2 - score**2).sum(dtype=np.float64))
    every = float(((user.T @ user).astype(np.float64) * (item.T @ item)).sum())
    ridge = regularization * sum(float(np.einsum("nd,nd->", f, f, dtype=np.float64)) for f in (user, item))
    pairs = float(weighed.data.sum(dtype=np.float64)) + len(user) * len(item) - weighed.nnz
    return (known * weighed.nnz / len(place) + every + ridge) / pairs
