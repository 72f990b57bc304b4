"""Times are read in whichever unit, zone or text they are written, or refused in a sentence."""

from datetime import UTC, datetime, timedelta
from datetime import date as day
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.read import read_table
from rec_export.data.times import date, times
from rec_export.errors import DataError
from tests.rec_export.data.test_columns import WHERE, column

SECONDS = [1_600_000_000, 1_700_000_000, 1_234_567_890]
MOMENTS = [datetime.fromtimestamp(second, UTC) for second in SECONDS]
SAME = {
    "s": column(SECONDS),
    "int32 s": column(SECONDS, pa.int32()),
    "float s": column([float(second) for second in SECONDS]),
    "ms": column([second * 10**3 for second in SECONDS]),
    "us": column([second * 10**6 for second in SECONDS]),
    "ns": column([second * 10**9 for second in SECONDS]),
    "float ms": column([second * 1e3 for second in SECONDS]),
    "timestamp[s]": column([m.replace(tzinfo=None) for m in MOMENTS], pa.timestamp("s")),
    "timestamp[ms]": column([m.replace(tzinfo=None) for m in MOMENTS], pa.timestamp("ms")),
    "timestamp[ns]": column([m.replace(tzinfo=None) for m in MOMENTS], pa.timestamp("ns")),
    "timestamp with zone": column(MOMENTS, pa.timestamp("us", "Asia/Tokyo")),
    "iso": column([m.strftime("%Y-%m-%dT%H:%M:%S") for m in MOMENTS]),
    "iso with blank": column([m.strftime("%Y-%m-%d %H:%M:%S") for m in MOMENTS]),
    "iso with Z": column([m.strftime("%Y-%m-%dT%H:%M:%SZ") for m in MOMENTS]),
    "iso with zone": column([(m + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00") for m in MOMENTS]),
    "large iso": column([m.strftime("%Y-%m-%dT%H:%M:%S") for m in MOMENTS], pa.large_string()),
}


@pytest.mark.parametrize("how", SAME)
def test_a_time_is_the_same_however_it_is_written(how: str) -> None:
    assert times(SAME[how], "auto", WHERE).tolist() == [second * 10**6 for second in SECONDS]


@pytest.mark.parametrize("days", [column([day(2020, 2, 29), day(1999, 12, 31)]), column(["2020-02-29", "1999-12-31"])])
def test_a_date_is_its_midnight(days: pa.ChunkedArray) -> None:
    expected = [datetime(2020, 2, 29, tzinfo=UTC), datetime(1999, 12, 31, tzinfo=UTC)]
    assert times(days, "auto", WHERE).tolist() == [int(day.timestamp()) * 10**6 for day in expected]


def test_times_in_a_csv_may_be_numbers_dates_or_iso(tmp_path: Path) -> None:
    written = {
        "s": SECONDS,
        "iso": [m.isoformat() for m in MOMENTS],
        "naive": [m.strftime("%Y-%m-%d %H:%M:%S") for m in MOMENTS],
    }
    pd.DataFrame(written).to_csv(tmp_path / "log.csv", index=False)
    table = read_table(tmp_path / "log.csv", None)
    expected = [second * 10**6 for second in SECONDS]
    assert [times(table[name], "auto", WHERE).tolist() for name in written] == [expected] * 3


@given(
    moment=st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31)), min_size=1, max_size=4),
    unit=st.sampled_from([("s", 10**6), ("ms", 10**3), ("us", 1)]),
)
def test_a_guessed_unit_gives_the_dates_that_were_meant(moment: list[datetime], unit: tuple[str, int]) -> None:
    epoch = [int((m - datetime(1970, 1, 1)) // timedelta(microseconds=1)) // unit[1] for m in moment]
    expected = [value * unit[1] for value in epoch]
    assert times(column(epoch), "auto", WHERE).tolist() == expected
    assert times(column(epoch), unit[0], WHERE).tolist() == expected  # type: ignore[arg-type]


IN_1970 = [
    column([0, 5]),
    column([1_700_000]),
    column(["1970-01-01"]),
    column([0], pa.timestamp("ns")),
    column([1_700_000_000, 1_700_000_000_000]),
]


@pytest.mark.parametrize("wrong", IN_1970)
def test_a_guess_that_lands_in_1970_is_refused(wrong: pa.ChunkedArray) -> None:
    with pytest.raises(DataError, match="between 1990 and 2100"):
        times(wrong, "auto", WHERE)


@pytest.mark.parametrize("meant", [column([5]), column([5], pa.timestamp("us"))])
def test_a_unit_that_is_given_is_believed(meant: pa.ChunkedArray) -> None:
    assert times(meant, "us", WHERE).tolist() == [5]


def test_times_that_are_not_written_alike_are_told_as_such() -> None:
    with pytest.raises(
        DataError, match="1 of its 2 values have a zone, such as '2023-11-14T23:49:42Z', and others none"
    ):
        times(column(["2023-11-14T23:49:42Z", "2023-11-15T00:00:00"]), "auto", WHERE)
    with pytest.raises(DataError, match="not all written alike: write '20231114T234942' and all others like 2026-11"):
        times(column(["20231114T234942"]), "auto", WHERE)


def test_a_unit_that_leads_beyond_all_calendars_is_refused() -> None:
    with pytest.raises(DataError, match="beyond the year 9999, read as epochs in s; set time_unit to another"):
        times(column([1_700_000_000_000]), "s", WHERE)


def test_a_time_is_shown_as_its_day() -> None:
    assert date(SECONDS[0] * 10**6) == "2020-09-13"


def test_a_timestamp_beyond_all_calendars_is_refused_too() -> None:
    far = pa.chunked_array([pa.array([400_000_000_000_000_000], pa.timestamp("us"))])
    with pytest.raises(DataError, match="column t holds times beyond the year 9999, as it is written; repair them"):
        times(far, "us", "column t")
