"""Lists are of today: of the log up to the run's date as training counts its rows, and of the items that there are."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.batch_jobs.test_score import lists_of, score
from tests.conftest import LAST_DAY, config_file, done, write_table


def test_what_came_after_the_run_date_is_not_known(exported: Path, shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    day = pd.Timestamp("2026-09-15", tz="UTC")
    past = log[log.timestamp < (day + pd.Timedelta(days=1)).timestamp()]
    later = pd.DataFrame({"user_id": "late", "item_id": "late", "timestamp": log.timestamp.max(), "rating": 5}, [0])
    past.to_parquet(tmp_path / "past.parquet")
    pd.concat([log, later]).to_parquet(tmp_path / "all.parquet")
    by_date = score(exported, tmp_path / "all.parquet", tmp_path / "one", day="2026-09-15")
    by_file = score(exported, tmp_path / "past.parquet", tmp_path / "other", day="2026-09-20")
    assert by_date.equals(by_file)
    assert len(past) < len(log)


@pytest.mark.parametrize(("repeats", "first"), [("keep", 100), ("first", 200), ("last", 200)])
def test_repeats_count_in_lists_as_they_did_in_training(repeats: str, first: int, tmp_path: Path) -> None:
    users, items = [0] * 50 + [*range(1, 31)], [100] * 50 + [200] * 29 + [300]
    log = write_table(tmp_path / "log.parquet", user_id=users, item_id=items)
    interactions = {"path": str(log), "repeats": repeats}
    data = {"interactions": interactions, "split": {"by": "none", "valid": 0}}
    config = config_file(tmp_path, data=data, model={"name": "popular"})
    done("train", config, "--out", tmp_path / "checkpoint")
    done("torchscript", tmp_path / "checkpoint", "--out", tmp_path / "bundle")
    lists = lists_of(score(tmp_path / "bundle", log, tmp_path / "recs", "--seen", "keep"))
    assert {items[0] for items in lists.values()} == {first}
    (manifest,) = (tmp_path / "recs.control" / "manifests").rglob("*.json")
    assert json.loads(manifest.read_text())["log_rows"] == len(users)  # of which a gate looks for a part


def test_the_newest_row_counts_as_such_though_nobody_liked_it(exported: Path, shop: Path, tmp_path: Path) -> None:
    """A log that is written every hour is a fresh one."""
    log = pd.read_parquet(shop / "interactions.parquet")
    night = pd.Timestamp(f"{LAST_DAY}T23:30", tz="UTC").timestamp()
    disliked = log.head(1).assign(timestamp=night, rating=1)
    pd.concat([log[log.timestamp < night - 3600], disliked]).to_parquet(tmp_path / "log.parquet")
    score(exported, tmp_path / "log.parquet", tmp_path / "recs", day=LAST_DAY)
    (manifest,) = (tmp_path / "recs.control" / "manifests").rglob("*.json")
    assert json.loads(manifest.read_text())["as_of"] == f"{LAST_DAY}T23:30:00+00:00"


def test_new_items_can_be_recommended_and_delisted_ones_cannot(exported: Path, shop: Path, tmp_path: Path) -> None:
    items = pd.read_parquet(shop / "items.parquet")
    new = items.tail(30).assign(item_id=[f"new{item}" for item in range(30)])
    today = pd.concat([items.head(20), new])
    today.to_parquet(tmp_path / "items.parquet")
    log = shop / "interactions.parquet"
    rows = score(exported, log, tmp_path / "recs", "--items", tmp_path / "items.parquet", "--k", 1000)
    assert set(rows["item_id"].to_pylist()) == set(today.item_id)


def test_todays_attributes_count(exported: Path, shop: Path, tmp_path: Path) -> None:
    items = pd.read_parquet(shop / "items.parquet")
    log = shop / "interactions.parquet"
    scores: list[list[float]] = []
    for price in (items.price, items.price * 100):
        folder = tmp_path / str(len(scores))
        folder.mkdir()
        items.assign(price=price).to_parquet(folder / "items.parquet")
        scores.append(score(exported, log, folder / "recs", "--items", folder / "items.parquet")["score"].to_pylist())
    assert scores[0] != scores[1]


def test_a_column_may_have_another_type_today(exported: Path, shop: Path, tmp_path: Path) -> None:
    items = pd.read_parquet(shop / "items.parquet")
    log = shop / "interactions.parquet"
    tables = []
    for kind in ("float64", "Int64"):
        folder = tmp_path / kind
        folder.mkdir()
        items.assign(price=items.price.round().astype(kind)).to_parquet(folder / "items.parquet")
        tables.append(score(exported, log, folder / "recs", "--items", folder / "items.parquet"))
    assert tables[0].equals(tables[1])
