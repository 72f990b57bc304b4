"""Rows that cannot be read are refused, all kinds in one sentence, or left out, so that the others stay as they are."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rec_export.data import separated
from rec_export.data.config import Interactions
from rec_export.data.log import Events, read_events
from rec_export.data.profile import Profile
from rec_export.errors import DataError
from tests.conftest import command

GOOD = [(f"u{n % 7}", f"i{n % 5}", str(1_700_000_000 + 3600 * n), str(n % 5 + 1)) for n in range(40)]
DIRT = {
    "without a time": [("u1", "i1", "", "3")],
    "with a time that is none": [("u1", "i2", "n/a", "4"), ("u2", "i2", "inf", "4")],
    "with a time before 1990 or after 2100": [("u3", "i2", "0", "4"), ("u3", "i2", "-5", "")],
    "without a value": [("u4", "i3", "1700000001", "")],
    "with a value that is no number": [("u4", "i3", "1700000001", "good"), ("u4", "i3", "1700000001", "1e300")],
}
Rows = list[tuple[str, str, str, str]]
LEAVE = {"time": "timestamp", "value": "rating", "positive": 3, "bad_rows": "leave_out"}


def dirty() -> Rows:
    """Good rows with the others strewn among them."""
    rows = list(GOOD)
    for number, one in enumerate(row for some in DIRT.values() for row in some):
        rows.insert(3 * number, one)
    return rows


def write_csv(rows: Rows, folder: Path) -> Path:
    """As text."""
    path = folder / "log.csv"
    frame(rows).to_csv(path, index=False)
    return path


def write_parquet(rows: Rows, folder: Path) -> Path:
    """As text in a typed file."""
    path = folder / "log.parquet"
    frame(rows).replace("", None).to_parquet(path)
    return path


def frame(rows: Rows) -> pd.DataFrame:
    """With the names of their columns."""
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "rating"])


def told(events: Events) -> list[list[object]]:
    """What a person would compare."""
    assert events.time is not None
    assert events.value is not None
    ids = events.user_id.column().to_pylist(), events.item_id.column().to_pylist()
    return [*map(list, ids), events.time.tolist(), events.value.tolist(), events.positive.tolist()]


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_the_other_rows_are_read_as_if_the_broken_ones_were_not_there(
    write: Callable[[Rows, Path], Path], tmp_path: Path
) -> None:
    found = read_events(Interactions.of({"path": write(dirty(), tmp_path), **LEAVE}, "test"))
    alone = read_events(Interactions.of({"path": write(GOOD, tmp_path), **LEAVE}, "test"))
    assert told(found) == told(alone)
    assert (found.left_out, alone.left_out) == ({what: len(rows) for what, rows in DIRT.items()}, {})


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "yesterday"),
        (["2024-01-01T08:30:00Z", "2024-01-01 09:30:00Z", "2024-01-01T10:30:00Z"], "2024-13-01T00:00:00Z"),
        (["1700000000000", "1700000000500", "1700000001000"], "1700000"),
    ],
)
def test_times_are_read_in_the_way_that_most_of_them_are_written_in(good: list[str], bad: str, tmp_path: Path) -> None:
    path, alone = tmp_path / "log.csv", tmp_path / "alone.csv"
    for where, times in ((path, [bad, *good]), (alone, good)):
        rows = {"user_id": "u", "item_id": [f"i{n}" for n in range(len(times))], "timestamp": times}
        pd.DataFrame(rows).to_csv(where, index=False)
    source = {"time": "timestamp", "bad_rows": "leave_out"}
    found, clean = (read_events(Interactions.of({"path": where, **source}, "test")) for where in (path, alone))
    assert found.time is not None
    assert clean.time is not None
    assert (sum(found.left_out.values()), found.time.tolist()) == (1, clean.time.tolist())


def test_times_of_their_own_type_are_looked_at_too(tmp_path: Path) -> None:
    days = [datetime(2024, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), None, datetime(2024, 1, 2, tzinfo=UTC)]
    rows = {"user_id": "u", "item_id": list("abcd"), "timestamp": days, "rating": [1.0, 1.0, 1.0, float("inf")]}
    path = tmp_path / "log.parquet"
    pd.DataFrame(rows).to_parquet(path)
    with pytest.raises(DataError, match=r"3 of 4 rows of .* cannot be read .*more than half"):
        read_events(Interactions.of({"path": path, **LEAVE}, "test"))
    pd.DataFrame(rows)[:3].to_parquet(path)  # two of three
    with pytest.raises(DataError, match=r"2 of 3 rows"):
        read_events(Interactions.of({"path": path, **LEAVE}, "test"))
    pd.concat([pd.DataFrame(rows)[:3], pd.DataFrame(rows)[:1]]).to_parquet(path)  # two of four
    found = read_events(Interactions.of({"path": path, **LEAVE}, "test"))
    assert (len(found.positive), list(found.left_out.values())) == (2, [1, 1])


TIMES = st.sampled_from([
    *("2024-01-05", "2024-01-05 10:20", "2024-01-05T10:20:30.5", "2024-01-05T10:20:30.123456789", " 2024-01-06 "),
    *("2024-01-05T10:20:30Z", "2024-01-05 10:20:30+02:00", "2024-01-05T10:20:30-0330", "1700000000", " 1700000001"),
    *("1.7e9", "1700000000123", "now", "today", "2024", "2024-01", "20240105", "2024-13-05", "2024-02-30", "NaT"),
    *("nan", "", "1970-01-01", "2150-01-01T00:00:00Z", "5.1.2024", "12:30", "inf", "-9223372036854775808", "1e300"),
])  # fmt: skip
VALUES = st.sampled_from(
    ["5", " 4", "3.5", "1e2", ".5", "4,5", "", "nan", "inf", "-inf", "1e39", "good", "5 stars", "+3", "--"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TIMES, VALUES), min_size=1, max_size=12), st.sampled_from(["auto", "s", "ms"]))
def test_what_is_left_is_read_as_it_is_alone_and_what_is_left_out_would_be_refused_beside_it(
    tmp_path: Path, rows: list[tuple[str, str]], unit: str
) -> None:
    path = tmp_path / "log.csv"
    source = {"time": "timestamp", "time_unit": unit, "value": "rating"}

    def read(some: list[tuple[str, str]], bad_rows: str) -> Events:
        columns = {"user_id": "u", "item_id": [f"i{n}" for n in range(len(some))]}
        table = pd.DataFrame(
            columns | {"timestamp": [time for time, _ in some], "rating": [value for _, value in some]}
        )
        table.to_csv(path, index=False)
        return read_events(Interactions.of({"path": path, **source, "bad_rows": bad_rows}, "test"))

    try:
        found = read(rows, "leave_out")
    except DataError:
        return  # too many, or of no unit
    kept = [int(item.removeprefix("i")) for item in found.item_id.column().to_pylist()]
    good = [rows[place] for place in kept]
    assert told(read(good, "refuse"))[2:] == told(found)[2:]
    assert len(rows) - len(kept) == sum(found.left_out.values())
    for place in set(range(len(rows))) - set(kept):
        with pytest.raises(DataError):
            read([*good, rows[place]], "refuse")


def test_one_sentence_tells_of_all_that_cannot_be_read_and_of_the_way_out(tmp_path: Path) -> None:
    source = Interactions.of({"path": write_csv(dirty(), tmp_path), **LEAVE, "bad_rows": "refuse"}, "test")
    with pytest.raises(DataError) as refused:
        read_events(source)
    said = str(refused.value)
    assert "In all, 8 rows cannot be read: 1 without a time, 2 with a time that is none, " in said
    assert said.endswith("bad_rows: leave_out, or --bad-rows leave-out of `init`, `run` and `score`")


def test_a_column_that_is_written_in_another_way_throughout_is_shown(tmp_path: Path) -> None:
    rows = [(user, item, "31.12.2025 12:30", value) for user, item, _, value in GOOD]
    source = {"path": write_csv([*rows, ("u", "i", "", "5")], tmp_path), **LEAVE, "bad_rows": "refuse"}
    with pytest.raises(DataError) as refused:
        read_events(Interactions.of(source, "test"))
    assert "(1 without a time and 40 with a time that is none), which is more than half" in str(refused.value)
    assert "'31.12.2025 12:30'" in str(refused.value).partition("In all")[2]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"timestamp": ["dawn", "dusk"]}, "no ISO 8601 time|2 with a time that is none"),
        ({"timestamp": [Decimal(1_700_000_000), Decimal(0)]}, "cannot be a time"),
        ({"timestamp": [True, False]}, "cannot be a time"),
        ({"timestamp": [1_700_000_000, 0], "user_id": [1.5, 2.0]}, "holds fractions"),
        ({"timestamp": [3, 4]}, "in no unit"),
    ],
)
@pytest.mark.parametrize("bad_rows", ["refuse", "leave_out"])
def test_what_no_leaving_out_can_mend_does_not_offer_it(
    columns: dict[str, list[object]], said: str, bad_rows: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.parquet"
    pd.DataFrame({"user_id": ["a", "b"], "item_id": ["c", "d"], **columns}).to_parquet(path)
    with pytest.raises(DataError, match=said) as refused:
        read_events(Interactions.of({"path": path, "time": "timestamp", "bad_rows": bad_rows}, "test"))
    assert "To leave them out" not in str(refused.value)


def test_text_that_is_all_numbers_is_read_as_epochs(tmp_path: Path) -> None:
    found = read_events(Interactions.of({"path": write_parquet(GOOD, tmp_path), **LEAVE, "bad_rows": "refuse"}, "test"))
    assert found.time is not None
    assert found.time[0] == 1_700_000_000_000_000


def test_a_word_late_in_a_csv_file_makes_its_column_text_as_an_early_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*GOOD, ("u1", "i1", "never", "none")]
    path = write_csv(rows, tmp_path)
    monkeypatch.setattr(separated, "BLOCK", 400)  # bytes, so that there are several
    found = read_events(Interactions.of({"path": path, **LEAVE}, "test"))
    assert (len(found.positive), found.left_out) == (len(GOOD), {"with a time that is none": 1})


def test_what_is_left_out_is_told_by_every_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, config, out = write_csv(dirty(), tmp_path), tmp_path / "config.yaml", tmp_path / "checkpoint"
    refused = command("init", path, "-o", config)
    assert (refused.code, refused.err.count("\n"), config.exists()) == (65, 1, False)
    begun = command("init", path, "-o", config, "--bad-rows", "leave-out")
    assert "Note      rows left out: 1 without a time, " in begun.out
    assert "    bad_rows: leave_out " in config.read_text(encoding="utf-8")
    trained = command("train", config, "--out", out, "--set", "model={name: popular}")
    assert (trained.code, "are left out: 1 without a time, " in trained.err) == (0, True)
    profile = Profile.read(out / "profile.json")
    assert (profile.rows, sum(profile.broken.values())) == (len(GOOD), 8)
    judged = command("evaluate", out, "--test", path)
    assert judged.err.count("are left out: 1 without a time, ") == 2  # of the log, and of the file
