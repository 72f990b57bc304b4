"""`verify-run` tells of every date, whatever is wrong with another."""

from pathlib import Path

from tests.batch_jobs.conftest import LAST, NEXT, configured, live_part, night
from tests.conftest import command


def test_each_date_is_told_of_though_another_is_damaged(place: Path, exported: Path) -> None:
    configured(place, exported, gates={"newest_event_hours": 1e6, "overlap": 0})
    days = LAST, NEXT, "2026-11-02"
    for day in days:
        night(place, day)
    for day in (days[0], days[2]):
        part = live_part(place, day)
        part.write_bytes(part.read_bytes() + b"x")
    code, out, err = command("verify-run", place / "recs")
    said = [line.partition(":")[0] for line in out.splitlines()]
    assert said == [f"run_date={day}" for day in days]
    assert ["as they were published" in line for line in out.splitlines()] == [False, True, False]
    assert (code, err) == (65, "Error: 2 of 3 dates are not as they were published; see above\n")
    alone = command("verify-run", place / "recs", "--run-date", LAST)
    assert (alone.code, alone.out, f"run_date={LAST}" in alone.err) == (65, "", True)
