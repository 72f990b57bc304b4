"""What is to be predicted of a row: its value or the logarithm of it, and their scale."""

from typing import NamedTuple, Self

import numpy as np

from rec_export.config import Target
from rec_export.data.columns import Float32
from rec_export.errors import DataError
from rec_export.metrics import Float64


def targets_of(value: Float32 | None, target: Target) -> Float64:
    """What is to be predicted of rows, float64 [R]. Raises DataError for values that have no logarithm."""
    if value is None:
        raise ValueError("a log without values")
    if target == "value":
        return value.astype(np.float64)
    if (value < 0).any():
        raise DataError(
            f"{int((value < 0).sum()):,} of {len(value):,} values are negative, the least {value.min():g}, and"
            " training.target: log is for counts; use training.target: value"
        )
    return np.log1p(value.astype(np.float64))


class Scale(NamedTuple):
    """The mean and the standard deviation of the targets that are learned from."""

    mean: float
    std: float

    @classmethod
    def of(cls, target: Float64) -> Self:
        """From targets float64 [R], which may all be one."""
        return cls(float(target.mean()), float(target.std()) or 1.0)
