"""Threads that a test may change and never leaves changed."""

from collections.abc import Callable, Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def threads() -> Iterator[Callable[[int], None]]:
    """Set how many threads torch uses: one until a test says otherwise; put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch.set_num_threads
    torch.set_num_threads(before)
