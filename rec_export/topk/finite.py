"""Nothing that is ranked may be a NaN or an infinity: found early, and named so that somebody can go and look."""

import numpy as np
import torch
from torch import Tensor, nn

from rec_export.errors import ModelError
from rec_export.topk.contract import Float64


def check_weights(head: nn.Module) -> None:
    """Refuse a head that holds a NaN or an infinity."""
    for name, weight in head.state_dict().items():
        bad = int((~torch.isfinite(weight)).sum())
        if bad:
            raise ModelError(f"{bad} of {weight.numel()} numbers in the head's {name} are not finite; train again")


def check_vectors(side: str, vec: Tensor) -> None:
    """Refuse vectors, float32 [n, D], that hold a NaN or an infinity; `side` is user or item."""
    if torch.isfinite(vec.sum()):  # a sum is finite only if all that it adds up is, and is had in no time
        return
    bad = torch.nonzero(~torch.isfinite(vec).all(dim=1))
    if len(bad):
        raise ModelError(
            f"{len(bad)} of {len(vec)} {side} vectors are not finite, the first being row {int(bad[0])}; "
            "look at the features of that row, or train again"
        )


def check_scores(score: Float64) -> None:
    """Refuse scores that are not finite: the vectors were, so the head leads out of float64."""
    bad = int((~np.isfinite(score)).sum())
    if bad:
        raise ModelError(f"{bad} scores are not finite though all vectors are; the head's weights are too large")
