"""Threads that a test may change and never leaves changed."""

from collections.abc import Callable, Iterator

import numba
import pytest
import torch


@pytest.fixture(autouse=True)
def threads() -> Iterator[Callable[[int], None]]:
    """Set how many threads torch and numba use: one until a test says otherwise; put back afterwards."""
    before = torch.get_num_threads(), numba.get_num_threads()

    def set_both(number: int) -> None:
        torch.set_num_threads(number)
        numba.set_num_threads(min(number, before[1]))

    set_both(1)
    yield set_both
    torch.set_num_threads(before[0])
    numba.set_num_threads(before[1])
