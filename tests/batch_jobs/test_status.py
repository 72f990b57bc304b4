"""`status` tells what is live, at work, stopped and refused, and writes nothing."""

from pathlib import Path

import pytest

from rec_export.files import locked
from tests.batch_jobs.conftest import LAST, NEXT, halve, night, report
from tests.conftest import done


def test_status_says_why_and_when_a_night_was_refused(place: Path) -> None:
    night(place, LAST)
    halve(place)
    night(place, NEXT, code=80)
    (line,) = [line for line in done("status", place / "recs").splitlines() if line.startswith("refused")]
    told = report(place)
    assert line.startswith(f"refused   run_date={NEXT}, run {told.run_id}, begun {told.started_at}: log_rows is 0.")


@pytest.mark.parametrize("shared", [True, False])
def test_status_tells_a_run_at_work_from_one_that_was_killed(shared: bool, place: Path) -> None:
    (place / "recs.control" / "work" / "0123456789ab" / "done").mkdir(parents=True)
    with locked(place / "recs.control" / "lock", shared=shared):
        assert "at work   run 0123456789ab, 0 parts finished\n" in done("status", place / "recs")
    assert "stopped   run 0123456789ab, 0 parts finished; the same command" in done("status", place / "recs")
