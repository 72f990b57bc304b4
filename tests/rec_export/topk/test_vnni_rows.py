"""A network's rows meet 64 items in the processor's own words."""

from typing import Any, cast

import numba
import numpy as np
import pytest

from rec_export.topk import vnni
from rec_export.topk.panels import aligned, laid_out
from rec_export.topk.vnni_rows import add_hidden, add_linear, code_hidden, larger, reaching

pytestmark = pytest.mark.skipif(not vnni.available(), reason="a processor without AVX-512 VNNI")
GROUPS = 5


@cast(Any, numba.njit)  # type: ignore[untyped-decorator]
def through(items: Any, user: Any, weight: Any, start: Any, scale: Any, first: Any, codes: Any, sums: Any) -> Any:
    """Every kernel once, with addresses for arrays; what code_hidden and reaching tell."""
    larger(items.ctypes.data, GROUPS, user.ctypes.data, first.ctypes.data)
    layer = weight.ctypes.data, start.ctypes.data, scale.ctypes.data
    over = code_hidden(first.ctypes.data, GROUPS, layer[0], layer[1], layer[2], codes.ctypes.data)
    add_hidden(first.ctypes.data, GROUPS, layer[0], layer[1], layer[2], sums[0].ctypes.data)
    return over, reaching(sums[0].ctypes.data, np.float32(sums[2, 0]))


def test_computes_maxima_hidden_numbers_their_codes_and_sums() -> None:
    random = np.random.default_rng(0)
    items, user = random.integers(0, 256, (64, 4 * GROUPS)), random.integers(0, 256, 4 * GROUPS)
    weight, start = random.integers(-127, 128, (4, 4 * GROUPS)), random.integers(-(10**5), 10**5, 4)
    items[0], weight[0] = 255, 127  # the extremes
    scale = np.array([0.003, 0.001, 0.002, 0.004], np.float32)
    most = np.maximum(items, user)
    hidden = np.maximum(most @ weight.T + start, 0)
    number = np.rint(hidden.astype(np.float32) * scale)
    sums = aligned(3 * 256).view(np.float32).reshape(3, 64)
    sums[2, 0] = bar = np.median(hidden @ scale)
    first, codes = aligned(GROUPS * 256), aligned(256)
    fours = np.ascontiguousarray(weight.astype(np.int8).reshape(4, GROUPS, 4).transpose(1, 0, 2))
    one = through(
        laid_out(items.astype(np.uint8)),
        user.astype(np.uint8),
        fours,
        start.astype(np.int32),
        scale,
        first,
        codes,
        sums,
    )
    assert np.array_equal(first.reshape(GROUPS, 64, 4), most.reshape(64, GROUPS, 4).transpose(1, 0, 2))
    assert np.array_equal(codes.reshape(64, 4), np.minimum(number, 255))
    assert np.allclose(sums[0], hidden @ scale, rtol=1e-6)
    places = np.arange(64, dtype=np.uint64)
    assert np.array_equal(np.uint64(one[0]) >> places & np.uint64(1), (number > 255).any(1))
    assert np.array_equal(np.uint64(one[1]) >> places & np.uint64(1), sums[0] >= np.float32(bar))


def test_a_sum_may_be_negative_where_no_relu_follows() -> None:
    first, sums = np.full(GROUPS * 256, 2, np.uint8), aligned(256).view(np.float32)
    weight, start, scale = np.full(GROUPS * 4, -3, np.int8), np.array([7], np.int32), np.array([0.5], np.float32)
    buffer = aligned(GROUPS * 256)
    buffer[:] = first
    linear(buffer, weight, start, scale, sums)
    assert sums.tolist() == [0.5 * (7 - 2 * 3 * 4 * GROUPS)] * 64


@cast(Any, numba.njit)  # type: ignore[untyped-decorator]
def linear(items: Any, weight: Any, start: Any, scale: Any, sums: Any) -> None:
    """add_linear with addresses for arrays."""
    add_linear(items.ctypes.data, GROUPS, weight.ctypes.data, start.ctypes.data, scale.ctypes.data, sums.ctypes.data)
