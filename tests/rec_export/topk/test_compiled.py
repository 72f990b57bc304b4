"""Kernels work where nothing can be written."""

from collections.abc import Callable
from typing import Any

import numba
import pytest

from rec_export.topk.compiled import compiled


def test_a_place_without_any_cache_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    njit: Any = numba.njit

    def njit_without_a_place(*kernel: Callable[..., Any], cache: bool = False, **settings: bool) -> Any:
        if cache:
            raise RuntimeError("cannot cache function 'twice': no locator available for file")
        return njit(*kernel, **settings)

    monkeypatch.setattr(numba, "njit", njit_without_a_place)

    @compiled
    def twice(number: int) -> int:
        return 2 * number

    assert twice(21) == 42
