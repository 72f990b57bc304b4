"""Old dates, replaced runs and refused runs go when their time is over; what is live and what is others' stays."""

from pathlib import Path

from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, NEXT, configured, halve, night


def test_old_dates_go_and_the_newest_stay(place: Path, exported: Path) -> None:
    retention = {"dates": 2, "trash_hours": 0}
    configured(place, exported, retention=retention)
    for day in ("2026-10-28", "2026-10-29", LAST, NEXT):
        night(place, day)
    assert Recs.at(place / "recs").dates() == [LAST, NEXT]
    left = list((place / "recs.control" / "trash").rglob("*.parquet"))
    assert left == []


def test_the_retention_leaves_what_is_others_and_what_was_just_published(place: Path, exported: Path) -> None:
    configured(place, exported, {"newest_event_hours": 9999}, retention={"dates": 2})
    strange = place / "recs" / "run_date=2020-01-01" / "mine.parquet"
    strange.parent.mkdir(parents=True)
    strange.write_bytes(b"mine")
    for day in (NEXT, LAST, "2026-10-29"):  # the last is older than the two to keep
        night(place, day, "--force-gate", "overlap", "--reason", "x")
    assert Recs.at(place / "recs").dates() == ["2020-01-01", "2026-10-29", LAST, NEXT]
    assert strange.read_bytes() == b"mine"


def test_old_refusals_go_on_a_night_that_is_refused_too(place: Path, exported: Path) -> None:
    night(place, LAST)
    halve(place)
    configured(place, exported, retention={"failed_hours": 0})
    night(place, NEXT, code=80)
    first = set((place / "recs.control" / "failed").iterdir())
    halve(place)
    night(place, NEXT, code=80)
    assert not first & set((place / "recs.control" / "failed").iterdir())
