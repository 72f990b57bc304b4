"""Six users meet 64 items in the processor's own words."""

from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
import pytest

from rec_export.topk import vnni
from rec_export.topk.vnni import meet

GROUPS = 5
pytestmark = pytest.mark.skipif(not vnni.available(), reason="a processor without AVX-512 VNNI")


@cast(Any, numba.njit)  # type: ignore[untyped-decorator]
def hits(
    items: npt.NDArray[np.uint8],
    codes: npt.NDArray[np.int8],
    user: npt.NDArray[np.int64],
    bar: npt.NDArray[np.int32],
    found: npt.NDArray[np.uint64],
    product: npt.NDArray[np.int32],
) -> int:
    """The kernel, with addresses for arrays."""
    data = items.ctypes.data, codes.ctypes.data, user.ctypes.data, bar.ctypes.data
    return meet(data[0], GROUPS, data[1], data[2], data[3], found.ctypes.data, product.ctypes.data)


def test_multiplies_all_pairs_and_says_which_reach_the_bar() -> None:
    random = np.random.default_rng(0)
    buffer = np.empty(GROUPS * 256 + 64, np.uint8)
    items = buffer[-buffer.ctypes.data % 64 :][: GROUPS * 256].reshape(GROUPS, 64, 4)
    items[:] = random.integers(0, 256, items.shape)
    codes = random.integers(-127, 128, (9, GROUPS, 4)).astype(np.int8)
    items[:, 0], codes[0] = 255, -127  # the extremes
    user = np.array([0, 8, 3, 3, 5, 1])
    wanted = np.einsum("gic,ugc->ui", items.astype(int), codes[user].astype(int))
    bar = np.sort(wanted, axis=1)[[0, 1, 2, 3, 4, 5], [63, 60, 0, 32, 1, 62]].astype(np.int32)
    bar[4] = 2**31 - 1
    found, product = np.zeros(6, np.uint64), np.zeros((6, 64), np.int32)
    assert hits(items, codes, user, bar, found, product) != 0
    assert np.array_equal(product, wanted)
    bits = found[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)
    assert np.array_equal(bits == 1, wanted >= bar[:, None])
    assert hits(items, codes, user, np.full(6, 2**31 - 1, np.int32), found, product) == 0


def test_is_the_instruction_it_is_meant_to_be() -> None:
    test_multiplies_all_pairs_and_says_which_reach_the_bar()
    assembly = "".join(hits.inspect_asm().values())
    assert assembly.count("vpdpbusd") >= 24
    assert "Spill" not in assembly
