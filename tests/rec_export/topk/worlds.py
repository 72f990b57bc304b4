"""Made-up worlds of every kind of head, and whether two lists are the same to the last bit."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rec_export.topk import Seen, TopK
from rec_export.towers import AdditiveHead, DotHead, Head, ResidualHead, ScalarHead


class Case(NamedTuple):
    """A head, float32 [B, D], float32 [N, D], and what each user has seen."""

    head: Head
    user_vec: Tensor
    item_vec: Tensor
    seen: Seen


class Distance(Head):
    """A head that no engine knows: minus the squared distance."""

    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, D], float [N, D] -> float [B, N]."""
        return -(user_vec.unsqueeze(1) - item_vec).square().sum(2)


HEADS: dict[str, Callable[[], Head]] = {
    "dot": DotHead,
    "one layer": lambda: AdditiveHead((6,), 0),
    "one layer and dot": lambda: AdditiveHead((5,), 3),
    "two layers": lambda: AdditiveHead((5, 3), 0),
    "two layers and dot": lambda: AdditiveHead((5, 2), 4),
    "three layers and dot": lambda: AdditiveHead((3, 6, 5), 1),
    "one block": lambda: ResidualHead((4,)),
    "three blocks": lambda: ResidualHead((3, 4, 2)),
    "scalar": lambda: ScalarHead((5, 3)),
    "unknown": Distance,
}
BY_BLOCKS = {"one block", "three blocks", "unknown"}  # what has no form that the tile engine knows
KINDS = ("normal", "grid", "cancelling", "tied", "skewed")


def vectors(random: np.random.Generator, kind: str, rows: int, width: int) -> npt.NDArray[np.float32]:
    """float32 [rows, width] of a kind; whatever the kind, some rows are zero and some are copies of others."""
    vec = random.standard_normal((rows, width))
    if kind == "grid":
        vec = random.integers(-2, 3, (rows, width)).astype(np.float64)
    if kind == "cancelling":  # large, small, minus the large: what float32 keeps of the small one depends on the order
        vec[:, 0] = random.integers(1, 9, rows) * 2.0**22
        vec[:, -1] = -vec[:, 0]
    if kind == "tied":
        vec[:] = vec[0]
    if kind == "skewed":
        vec *= np.exp(2 * random.standard_normal((rows, 1)))
    if kind != "tied":
        vec[random.random(rows) < 0.1] = 0
        copied = np.flatnonzero(random.random(rows) < 0.2)
        vec[copied] = vec[random.integers(0, rows, len(copied))]
    return vec.astype(np.float32)


def make(head: str, kind: str, users: int, items: int, scale: float = 1.0, seen: float = 0.2, seed: int = 0) -> Case:
    """A world of this head and these vectors; `seen` is the share of the catalogue that each user has seen."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = HEADS[head]()
    width = 7
    if isinstance(module, AdditiveHead):
        width = module.width + module.dot
    if isinstance(module, ResidualHead):
        width = module.width
    if kind in ("grid", "cancelling"):
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(torch.from_numpy(random.integers(-2, 3, tuple(weight.shape))))
    user_vec = vectors(random, "grid" if kind == "cancelling" else kind, users, width)
    if kind == "cancelling":
        user_vec[:, 0] = user_vec[:, -1]
    lists = [random.integers(0, items, int(seen * items)) for _ in range(users)]
    start = np.cumsum([0, *map(len, lists)])
    item_vec = vectors(random, kind, items, width) * np.float32(scale)
    return Case(module, torch.from_numpy(user_vec), torch.from_numpy(item_vec), Seen(start, np.concatenate(lists)))


def same(got: TopK, wanted: TopK) -> bool:
    """The rows, the counts and the bits of the scores."""
    return all(
        np.array_equal(mine.view(np.int64), other.view(np.int64)) for mine, other in zip(got, wanted, strict=True)
    )
