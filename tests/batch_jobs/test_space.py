"""A night that clearly cannot fit on the disk is refused before it scores, with numbers; one that may not is told."""

from pathlib import Path

import pytest

from batch_jobs.space import bytes_of
from rec_export.recs import Recs, run_in
from tests.batch_jobs.conftest import LAST, NEXT, night

USERS = 200


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much is free; to be changed."""
    free = [10**12]
    monkeypatch.setattr("batch_jobs.space.free_at", lambda path: free[0])
    return free


def needed(place: Path) -> int:
    """Bytes of the lists of the last night."""
    recs = Recs.at(place / "recs")
    return recs.told(LAST, str(run_in(recs.live(LAST)))).bytes


def test_a_first_night_without_a_hope_is_refused_with_numbers(place: Path, free: list[int]) -> None:
    free[0] = 100
    said = night(place, LAST, code=74).err
    about = bytes_of(USERS * 5, 120)
    assert f"Error: the disk is too full: the lists of 200 users need about {about / 1e3:.1f} kB, if no two" in said
    assert "and 100 bytes are free for" in said
    assert not (place / "recs").exists()


def test_a_night_is_measured_by_the_one_before(place: Path, free: list[int]) -> None:
    night(place, LAST)
    free[0] = needed(place) * 7 // 10
    said = night(place, NEXT, code=74).err
    assert f"about {needed(place) / 1e3:.1f} kB, as those of {LAST} did, and {free[0] / 1e3:.1f} kB are free" in said
    assert Recs.at(place / "recs").dates() == [LAST]
    free[0] = needed(place) * 9 // 10
    assert "the disk may be too full: the lists of 200 users need about" in night(place, NEXT).err


def test_only_what_is_left_must_fit(place: Path, free: list[int]) -> None:
    night(place, LAST)
    night(place, NEXT, "--shard-index", 0, "--shard-count", 1)
    free[0] = 0
    assert night(place, NEXT).out.endswith("1 part resumed\n")


def test_lists_of_another_length_are_not_measured_by_those_before(place: Path, free: list[int]) -> None:
    night(place, LAST)
    config = (place / "config.yaml").read_text()
    (place / "config.yaml").write_text(config.replace("k: 5", "k: 6"))
    free[0] = needed(place) // 2
    assert night(place, NEXT).err == ""
