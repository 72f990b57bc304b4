"""Alternating least squares by the `implicit` library. An iteration is an epoch; validation chooses how many."""

from typing import Any, final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from rec_export.errors import EnvironmentMissingError, TrainingError
from rec_export.models.als import Factors, Spec
from rec_export.towers import ModelSpec, Sizes, Towers
from rec_export.world import Timeline
from trainers.batches import Device
from trainers.course import Course
from trainers.dataset import Dataset
from trainers.examples import worth
from trainers.journal import Tensors
from trainers.parallel import Group
from trainers.plan import Plan

try:
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.recommender_base import ModelFitError
except ModuleNotFoundError as error:
    raise EnvironmentMissingError(
        "the model als needs the package implicit, which is not here; install it with `pip install implicit`"
    ) from error


@final
class AlsRun(Course):
    """Factors on their way to the least squares, on the CPU."""

    def __init__(self, spec: ModelSpec, sizes: Sizes, dataset: Dataset, plan: Plan, group: Group) -> None:
        assert isinstance(spec, Spec)
        world = dataset.timeline.as_of(None, plan.clock)
        state = Device(dataset, spec, sizes, [world], plan.recent, torch.device("cpu"))
        super().__init__(plan, state, spec.build(sizes), group)
        self.liked = liked_matrix(dataset.timeline, sizes)
        if self.liked.nnz == 0:
            raise TrainingError("nobody likes anything, so there is nothing to learn; check data.interactions.positive")
        with threadpool_limits(1, "blas"):  # implicit has threads of its own, and warns where BLAS has too
            self.solver = AlternatingLeastSquares(
                factors=spec.factors,
                regularization=spec.regularization,
                alpha=spec.alpha,
                iterations=1,
                calculate_training_loss=True,
                random_state=plan.seed,
            )

    def epoch(self, number: int) -> float:
        """Solve for the users, then for the items; the loss. The solver goes on from the factors that it has."""
        losses: list[float] = []
        try:
            with threadpool_limits(1, "blas"):
                self.solver.fit(self.liked, show_progress=False, callback=lambda *told: losses.append(float(told[2])))
        except ModelFitError as error:
            raise TrainingError(
                f"the factors are not finite after iteration {number}; raise model.regularization, or lower model.alpha"
            ) from error
        return round(losses[-1], 5)

    def state(self) -> tuple[dict[str, Any], Tensors]:
        """The factors; the first ones alone are random."""
        factors = {"user": self.solver.user_factors, "item": self.solver.item_factors}
        return {}, {name: torch.from_numpy(np.array(values)) for name, values in factors.items()}

    def restore(self, state: dict[str, Any], tensors: Tensors) -> None:
        """The same, put back."""
        self.solver.user_factors, self.solver.item_factors = tensors["user"].numpy(), tensors["item"].numpy()

    def passed(self, loss: float, held_out: dict[str, float]) -> None:
        """The solver has no rate that could follow."""

    @torch.no_grad()
    def evaluated(self) -> Towers:
        """The towers with the solver's factors; the row of those who were not in training stays zero."""
        found = (self.towers.user_tower, self.solver.user_factors), (self.towers.item_tower, self.solver.item_factors)
        for tower, factors in found:
            assert isinstance(tower, Factors)
            tower.embedding.table.weight[:-1] = torch.from_numpy(factors)
        return self.towers


def liked_matrix(timeline: Timeline, sizes: Sizes) -> csr_matrix:
    """How much each user likes each item, float32 [users, items]; 0 where nothing is known."""
    user = np.repeat(np.arange(len(timeline.start) - 1), np.diff(timeline.start))
    shape = len(timeline.start) - 1, timeline.items
    whole = csr_matrix((worth(timeline).astype(np.float32), (user, timeline.item_row)), shape=shape)
    return whole[: sizes.users.rows, : sizes.items.rows]
