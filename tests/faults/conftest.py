"""What a test of faults tells the table in docs/reliability.md."""

from collections.abc import Callable

import pytest

Tell = Callable[[str, str, str], None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Tell an experiment, how often it was tried, and what came of it."""
    return lambda *row: record_property("table", row)
