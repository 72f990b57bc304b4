"""Two arrays are the same numbers: first their shapes, then what is finite, then the values."""

import numpy as np
import pytest

from exporters.compare import TOLERANCES, Tolerance, difference

EXACT = Tolerance(relative=0.0, absolute=0.01)
ONE = np.array([[1.0, 0.5]], dtype=np.float32)


@pytest.mark.parametrize(
    ("candidate", "fault"),
    [
        (ONE.copy(), None),
        (ONE + np.float32(0.009), None),
        (ONE + np.float32(0.02), "2 of 2 values are off, the worst by 2 times what is allowed"),
        (ONE[:, :1], "its output is float32[1, 1] instead of float32[1, 2]"),
        (ONE.astype(np.float64), "its output is float64[1, 2] instead of float32[1, 2]"),
        (np.array([[1, np.nan]], dtype=np.float32), "1 of 2 values are NaN or infinite in one and not in the other"),
    ],
)
def test_the_first_layer_that_fails_is_named(candidate: np.ndarray, fault: str | None) -> None:
    assert difference(ONE, candidate, EXACT).fault == fault


def test_nan_agrees_with_nan_but_inf_not_with_minus_inf() -> None:
    odd = np.array([[np.nan, np.inf]], dtype=np.float32)
    assert difference(odd, odd.copy(), EXACT).fault is None
    assert difference(odd, -odd, EXACT).fault == "1 of 2 values are NaN or infinite in one and not in the other"


def test_empty_outputs_agree() -> None:
    empty = np.zeros((0, 2), dtype=np.float32)
    assert difference(empty, empty, EXACT) == (0.0, 0.0, None)


def test_the_absolute_tolerance_grows_with_the_largest_number_of_a_row() -> None:
    large = np.array([[1000.0, 0.0]], dtype=np.float32)
    assert difference(large, large + np.float32(5), EXACT).fault is None
    assert difference(large, large + np.float32(20), EXACT).fault is not None


def test_torchscript_is_held_to_more_than_onnx() -> None:
    assert TOLERANCES["torchscript"].relative < TOLERANCES["onnx"].relative
