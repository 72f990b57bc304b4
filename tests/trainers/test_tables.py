"""The cells of the tables that a terminal shows."""

import pytest

from rec_export.metrics import Estimate
from trainers.tables import interval, signed


@pytest.mark.parametrize(
    ("ends", "alone", "gap"),
    [((0.1, 0.3), ".2000 [.1000-.3000]", "+0.2000 [+0.1000, +0.3000]"), ((0.2, 0.2), ".2000", "+0.2000")],
)
def test_an_interval_stands_where_draws_could_tell_anything(ends: tuple[float, float], alone: str, gap: str) -> None:
    value = Estimate(mean=0.2, low=ends[0], high=ends[1])
    assert (interval(value), signed(value)) == (alone, gap)
