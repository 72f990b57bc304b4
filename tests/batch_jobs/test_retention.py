"""Old dates, replaced runs and refused runs go when their time is over; what is live and what is others' stays."""

from pathlib import Path

from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, NEXT, configured, halve, night
from tests.conftest import done


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


def test_a_date_that_somebody_linked_to_another_place_stays_and_stops_no_night(place: Path, exported: Path) -> None:
    configured(place, exported, retention={"dates": 2, "trash_hours": 0})
    days = ["2026-10-27", "2026-10-28", "2026-10-29", LAST, NEXT]
    night(place, days[0])
    (place / "cold").mkdir()
    live = place / "recs" / f"run_date={days[0]}"
    live.rename(place / "cold" / live.name)
    live.symlink_to(f"../cold/{live.name}")
    for day in days[1:]:
        night(place, day)
    assert Recs.at(place / "recs").dates() == [days[0], LAST, NEXT]
    assert len(list((place / "cold" / live.name).glob("part-*"))) == 1


def test_a_link_to_nothing_in_the_trash_stops_no_night(place: Path) -> None:
    night(place, LAST)
    gone = place / "recs.control" / "trash" / "run_date=2026-10-01" / "0123456789ab"
    gone.parent.mkdir(parents=True)
    gone.symlink_to("../../../nowhere")
    night(place, NEXT)
    assert Recs.at(place / "recs").dates() == [LAST, NEXT]
    assert gone.is_symlink()  # it is not old yet


def test_a_file_that_somebody_laid_there_stops_no_night_and_keeps_nothing_from_going(
    place: Path, exported: Path
) -> None:
    configured(place, exported, retention={"trash_hours": 0, "failed_hours": 0})
    night(place, LAST)
    control = place / "recs.control"
    for stray in ("trash/run_date=2026-10-01/.DS_Store", "failed/notes.txt"):
        (control / stray).parent.mkdir(parents=True, exist_ok=True)
        (control / stray).touch()
    for name in ("aaaaaaaaaaaa", "zzzzzzzzzzzz"):
        (control / "failed" / name).mkdir()
    (place / "recs" / "run_date=2026-10-02").touch()
    night(place, NEXT)
    assert list((control / "failed").iterdir()) == []
    assert Recs.at(place / "recs").dates() == [LAST, NEXT]
    assert NEXT in done("status", place / "recs")


def test_an_out_that_is_a_link_to_nothing_is_a_slip(place: Path) -> None:
    (place / "recs").symlink_to("nowhere")
    said = night(place, LAST, code=2).err
    assert said.endswith("/recs is a link to nowhere, which is not there; make that folder\n")
