"""Three users meet 64 items under a gated head, in the processor's own words."""

from typing import Any, cast

import numba
import numpy as np
import pytest

from rec_export.topk import vnni
from rec_export.topk.panels import laid_out
from rec_export.topk.vnni_gated import ABREAST, Part, meet

pytestmark = pytest.mark.skipif(not vnni.available(), reason="a processor without AVX-512 VNNI")
GROUPS, DOTS, USERS = 5, 3, 2 * ABREAST


@cast(Any, numba.njit)  # type: ignore[untyped-decorator]
def met(gate: Any, weight: Any, dot: Any, bar: Any, found: Any, sums: Any) -> Any:
    """The second three users, with addresses for arrays."""
    (items, code, start, scale), (dot_items, dot_code, dot_start, dot_scale) = gate, dot
    return meet(
        Part(items.ctypes.data, GROUPS, code.ctypes.data, start.ctypes.data, scale.ctypes.data),
        weight.ctypes.data,
        Part(dot_items.ctypes.data, DOTS, dot_code.ctypes.data, dot_start.ctypes.data, dot_scale.ctypes.data),
        ABREAST,
        bar.ctypes.data,
        found.ctypes.data,
        sums.ctypes.data,
    )


def test_adds_up_both_parts_and_tells_who_reaches_a_bar() -> None:
    random = np.random.default_rng(0)
    items, dot_items = random.integers(0, 256, (64, 4 * GROUPS)), random.integers(0, 256, (64, 4 * DOTS))
    code, weight = random.integers(0, 256, (USERS, 4 * GROUPS)), random.integers(-127, 128, 4 * GROUPS)
    dot_code = random.integers(-127, 128, (USERS, 4 * DOTS))
    items[0], code[3], weight[:], dot_items[1], dot_code[4] = 255, 255, 127, 255, -127  # the extremes
    start, dot_start = random.integers(-(10**5), 10**5, (2, USERS))
    scale, dot_scale = random.random((2, USERS)).astype(np.float32)
    gates = np.maximum(code[:, None], items) @ weight + start[:, None]
    wanted = scale[:, None] * gates + dot_scale[:, None] * (dot_code @ dot_items.T + dot_start[:, None])
    bar = np.median(wanted, axis=1).astype(np.float32)
    bar[4] = np.inf
    gate = laid_out(items.astype(np.uint8)), code.astype(np.uint8), start.astype(np.int32), scale
    dot = laid_out(dot_items.astype(np.uint8)), dot_code.astype(np.int8), dot_start.astype(np.int32), dot_scale
    found, sums = np.zeros(ABREAST, np.uint64), np.zeros((ABREAST, 64), np.float32)
    assert met(gate, weight.astype(np.int8), dot, bar, found, sums) != 0
    assert np.allclose(sums, wanted[ABREAST:], rtol=1e-6, atol=1e-2)
    bits = found[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)
    assert np.array_equal(bits, sums >= bar[ABREAST:, None])
    assert met(gate, weight.astype(np.int8), dot, np.full(USERS, np.inf, np.float32), found, sums) == 0
