"""Whether two arrays are the same numbers, and how far apart they are. All tolerances are here."""

from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt

from rec_export.choices import Lossy, Runtime
from rec_export.data.columns import Bool, Float32

Float64 = npt.NDArray[np.float64]


@final
class Tolerance(NamedTuple):
    """How far a value may be from the trained model's: absolute + relative * |value|.

    `absolute` is for numbers around 1 and grows with the largest number of the same row: a sum that cancels to almost
    nothing carries the rounding of its parts.
    """

    relative: float
    absolute: float

    def allowed(self, reference: Float32) -> Float64:
        """The difference allowed at each place of float32 [R, D]; infinite values count for nothing."""
        return self.absolute * scale(reference) + self.relative * magnitude(reference)


TOLERANCES: dict[Runtime, Tolerance] = {
    "torchscript": Tolerance(1.3e-6, 1e-6),  # the same kernels
    "onnx": Tolerance(1e-4, 1e-5),  # other kernels, which sum in another order
    "pt2": Tolerance(1.3e-6, 1e-6),
    "aoti": Tolerance(1e-4, 1e-5),  # kernels of its own, fused
}


LOSSY_TOLERANCES: dict[Lossy, Tolerance] = {  # for faults alone: what rounding costs is told by lists and metrics
    "onnx-fp16": Tolerance(2e-3, 2e-3),
    "onnx-int8": Tolerance(0.1, 0.1),  # a history of one item over and over adds its rounding up
}


def tolerance_of(form: Runtime, device: str = "cpu") -> Tolerance:
    """How far a format may be off on a device: off the CPU every format has other kernels."""
    return TOLERANCES[form if device == "cpu" else "onnx"]


FEATURES = Tolerance(0.0, 1e-6)  # of what feature graphs compute in float64: directions of length 1


@final
class Difference(NamedTuple):
    """How far an output is from the trained model's, and what is wrong with it, if anything is."""

    worst: float  # absolute; where a row holds numbers above 1, of the largest of them
    share: float  # of what is allowed there; above 1 is too far
    fault: str | None


def difference(reference: Float32, candidate: npt.NDArray[Any], tolerance: Tolerance) -> Difference:
    """Compare float32 [R, D] with what an exported part gave: first shapes, then what is finite, then values."""
    if candidate.shape != reference.shape or candidate.dtype != reference.dtype:
        described = [f"{array.dtype}{list(array.shape)}" for array in (candidate, reference)]
        return Difference(np.inf, np.inf, f"its output is {described[0]} instead of {described[1]}")
    strange = unlike(reference, candidate)
    if strange.any():
        return Difference(np.inf, np.inf, f"{count(strange)} values are NaN or infinite in one and not in the other")
    finite = np.isfinite(reference)
    apart = np.zeros(reference.shape)
    np.subtract(candidate, reference, out=apart, where=finite, dtype=np.float64)
    apart = np.abs(apart)
    allowed = tolerance.allowed(reference)
    worst = float((apart / scale(reference)).max(initial=0.0))
    share = float((apart / allowed).max(initial=0.0))
    far = f"{count(apart > allowed)} values are off, the worst by {share:.3g} times what is allowed"
    return Difference(worst, share, far if share > 1 else None)


def magnitude(array: Float32) -> Float64:
    """The absolute values of float32 [R, D], as if infinite and missing ones were 0."""
    return np.where(np.isfinite(array), np.abs(array.astype(np.float64)), 0.0)


def scale(array: Float32) -> Float64:
    """The largest absolute value of each row of float32 [R, D], at least 1: float64 [R, 1]."""
    return magnitude(array).max(axis=1, keepdims=True, initial=1.0)


def unlike(reference: Float32, candidate: Float32) -> Bool:
    """Where one is NaN or infinite and the other is something else."""
    same: Bool = (np.isfinite(reference) & np.isfinite(candidate)) | (reference == candidate)
    return ~(same | (np.isnan(reference) & np.isnan(candidate)))


def count(mask: Bool) -> str:
    """Such as "3 of 462"."""
    return f"{int(mask.sum()):,} of {mask.size:,}"
