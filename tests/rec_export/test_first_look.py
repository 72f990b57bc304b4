"""What `run` and `init` say of the files before anything is done with them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rec_export.data.guess import Given, guess_data
from rec_export.data.source import Source
from rec_export.first_look import first_look


def looked(log: Path, **given: Any) -> list[str]:
    """The lines of a look at a log."""
    data = guess_data(Given(log=log, **given))
    return list(first_look(log, data, Source.read(data)))


def test_items_that_the_table_does_not_describe_are_counted(shop: Path, tmp_path: Path) -> None:
    log, items = (pd.read_parquet(shop / f"{name}.parquet") for name in ("interactions", "items"))
    items[:60].to_parquet(tmp_path / "items.parquet")
    rest, known = len(set(log.item_id) - set(items.item_id[:60])), log.item_id.nunique()
    lines = looked(shop / "interactions.parquet", items=tmp_path / "items.parquet")
    assert f"Note      {rest} of {known} items of the log are not in the table of items" in lines


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1_700_000_000, "is the unit of time right?"), (10**9, "in the future")]
)
def test_strange_dates_are_warned_of(seconds: int, said: str, shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    log.assign(timestamp=log.timestamp + seconds).to_parquet(tmp_path / "log.parquet")
    lines = looked(tmp_path / "log.parquet", time_unit="s")
    assert [line for line in lines if line.startswith("WARNING") and said in line]


@pytest.mark.parametrize(("positive", "hint"), [(1.0, False), (4.0, True)])
def test_only_what_is_taken_for_stars_is_said_to_be(positive: float, hint: bool, shop: Path) -> None:
    lines = looked(shop / "interactions.parquet", value="rating", positive=positive)
    assert [f"liked from {positive:g}" in line for line in lines].count(True) == 1
    assert any("as stars" in line for line in lines) == hint


def test_prices_are_not_said_to_be_stars(shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    log.assign(price=log.rating * 7.51).to_parquet(tmp_path / "log.parquet")
    lines = looked(tmp_path / "log.parquet", value="price", positive=7.51)
    assert any("liked from 7.51" in line for line in lines)
    assert not any("as stars" in line for line in lines)


def test_dates_of_another_way_to_write_them_are_told_from_other_text(shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    bought = pd.to_datetime(log.timestamp, unit="s").dt.strftime("%d.%m.%Y %H:%M")
    log.drop(columns="timestamp").assign(bought=bought, shelf="12.3 left").to_csv(tmp_path / "log.csv", index=False)
    notes = [line for line in looked(tmp_path / "log.csv") if "if that is a date" in line]
    first = bought.iloc[0][:10]
    assert notes == [f"Note      'bought' holds '{first}': if that is a date, write it like 2025-12-31 to have it read"]


def test_times_among_which_there_is_a_word_are_told_from_other_text(shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    bought = pd.to_datetime(log.timestamp, unit="s").dt.strftime("%Y-%m-%d %H:%M")
    bought = bought.where(bought.index != 3, "yesterday").where(bought.index != 5)
    log.drop(columns="timestamp").assign(bought=bought).to_csv(tmp_path / "log.csv", index=False)
    assert (
        "Note      'bought' holds times, but for 2 rows: name it by --time, and leave those out by --bad-rows leave-out"
        in looked(tmp_path / "log.csv")
    )


def test_of_objects_the_fields_that_nothing_was_taken_for_are_named(tmp_path: Path) -> None:
    rows = ({"user": {"id": n % 3, "name": "x"}, "track": {"id": n % 4}, "os": "a"} for n in range(12))
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = looked(tmp_path / "log.jsonl", user="user.id", item="track.id")
    assert "          not read: user.name, os (taken for no user, item, time or value)" in lines


def test_a_column_that_some_parts_lack_stops_nobody(tmp_path: Path) -> None:
    rows = pd.DataFrame({"user_id": list("abab"), "item_id": list("xyyx")})
    rows.to_parquet(tmp_path / "a.parquet")
    rows.assign(channel="web").to_parquet(tmp_path / "b.parquet")
    assert any("not read: channel" in line for line in looked(tmp_path))


def test_a_column_that_stands_in_the_names_of_folders_alone_is_warned_of(tmp_path: Path) -> None:
    rows = pd.DataFrame({"user_id": list("abab"), "item_id": list("xyyx"), "country": "NL"})
    for day, country in (("2026-11-01", "NL"), ("2026-11-02", "BE")):
        folder = tmp_path / f"day={day}" / f"country={country}"
        folder.mkdir(parents=True)
        rows.to_parquet(folder / "part.parquet")
    (line,) = [line for line in looked(tmp_path) if "names of folders" in line]
    assert line.startswith("WARNING   not read, as it stands in names of folders alone (day=2026-11-0")
