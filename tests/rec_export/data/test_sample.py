"""The made-up shop: repeatable, coherent, and with an answer that a good recommender can find."""

from datetime import date
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rec_export.data.config import DataConfig
from rec_export.data.sample import SampleSummary, write_sample
from rec_export.errors import OutputExistsError, UsageError

DAY = 86_400
FIRST, END = 1_769_904_000, 1_793_491_200
"""2026-02-01 and 2026-11-01, midnight UTC."""

Pairs = set[tuple[str, str]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "shop"
    write_sample(out, seed=42, users=3000, items=2000, days=273)
    return out


def small(out: Path, seed: int = 0) -> SampleSummary:
    return write_sample(out, seed=seed, users=50, items=40, days=60)


def read(shop: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(shop / f"{name}.parquet")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def popular(sales: pd.DataFrame, log: pd.DataFrame, users: set[str]) -> Pairs:
    """For each of `users`, the ten items that sell most in `sales`, of those the user has not bought in `log`."""
    best = list(sales["item_id"].value_counts().index)
    owned = log.groupby("user_id")["item_id"].agg(set).to_dict()
    return {(user, item) for user in users for item in islice((i for i in best if i not in owned[user]), 10)}


def pairs(table: pd.DataFrame) -> Pairs:
    return set(zip(table["user_id"], table["item_id"], strict=True))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    assert small(tmp_path / "a") == small(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_another_seed_gives_another_shop(tmp_path: Path) -> None:
    small(tmp_path / "a", seed=1)
    small(tmp_path / "b", seed=2)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert {name for name in a if a[name] == b[name]} == {"config.yaml", "README.txt"}


def test_the_summary_counts_what_the_files_hold(tmp_path: Path) -> None:
    summary = small(tmp_path / "shop")
    log, future = read(tmp_path / "shop", "interactions"), read(tmp_path / "shop", "future")
    assert summary == SampleSummary(
        users=len(read(tmp_path / "shop", "users")),
        items=len(read(tmp_path / "shop", "items")),
        interactions=len(log),
        future_interactions=len(future),
        new_users=len(set(future["user_id"]) - set(log["user_id"])),
        new_items=len(set(future["item_id"]) - set(log["item_id"])),
        first_day=date(2026, 9, 2),
        last_day=date(2026, 10, 31),
    )


def test_ids_are_unique_and_every_interaction_has_its_user_and_item(shop: Path) -> None:
    users, items = read(shop, "users")["user_id"], read(shop, "items")["item_id"]
    assert users.is_unique
    assert items.is_unique
    for name in ("interactions", "future", "truth"):
        assert read(shop, name)["user_id"].isin(users).all()
        assert read(shop, name)["item_id"].isin(items).all()


def test_the_future_has_users_and_items_that_the_log_has_not(shop: Path) -> None:
    log, future = read(shop, "interactions"), read(shop, "future")
    assert len(set(future["user_id"]) - set(log["user_id"])) > 50
    assert len(set(future["item_id"]) - set(log["item_id"])) > 20


def test_timestamps_lie_in_their_period_and_in_order(shop: Path) -> None:
    log, future = read(shop, "interactions")["timestamp"], read(shop, "future")["timestamp"]
    assert log.between(FIRST, END - 1).all()
    assert future.between(END, END + 30 * DAY - 1).all()
    assert log.is_monotonic_increasing
    assert future.is_monotonic_increasing


def test_nothing_is_bought_before_it_is_released(shop: Path) -> None:
    bought = pd.concat([read(shop, "interactions"), read(shop, "future")])
    released = pd.to_datetime(read(shop, "items").set_index("item_id")["released"]).dropna()
    known = bought[bought["item_id"].isin(released.index)]
    assert (pd.to_datetime(known["timestamp"], unit="s").to_numpy() >= released[known["item_id"]].to_numpy()).all()


def test_the_truth_is_ten_items_a_user_that_they_have_not_bought(shop: Path) -> None:
    truth = read(shop, "truth")
    assert truth["rank"].tolist() == list(range(1, 11)) * 3000
    assert not truth.duplicated(["user_id", "item_id"]).any()
    assert not pairs(truth) & pairs(read(shop, "interactions"))


def test_taste_beats_recent_popularity_which_beats_all_time_popularity(shop: Path) -> None:
    log, future = read(shop, "interactions"), read(shop, "future")
    bought = pairs(future[future["user_id"].isin(log["user_id"])]) - pairs(log)
    users = {user for user, _ in bought}
    all_time = popular(log, log, users)
    recent = popular(log[log["timestamp"] >= END - 30 * DAY], log, users)
    assert len(bought & recent) > 1.5 * len(bought & all_time)
    assert len(bought & pairs(read(shop, "truth"))) > 5 * len(bought & recent)


def test_the_configuration_is_valid_and_names_columns_that_exist(shop: Path) -> None:
    config = yaml.safe_load((shop / "config.yaml").read_text())
    declared = DataConfig.of(config["data"], "config.yaml").relative_to(shop)
    assert config["model"] == {"name": "hybrid"}
    assert declared.items is not None
    assert declared.users is not None
    for table in (declared.interactions, declared.items, declared.users):
        assert set(table.columns()) <= set(pd.read_parquet(table.path).columns)


def test_the_smallest_shop_works_and_smaller_is_refused(tmp_path: Path) -> None:
    smallest = write_sample(tmp_path / "smallest", seed=0, users=50, items=40, days=30)
    assert smallest.interactions > 0
    with pytest.raises(UsageError, match="a sample of 39 items is too small to learn from; ask for 40 or more"):
        write_sample(tmp_path / "smaller", seed=0, users=50, items=39, days=30)
    assert not (tmp_path / "smaller").exists()


def test_an_existing_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(OutputExistsError, match="already exists"):
        small(tmp_path)
    assert contents(tmp_path) == {"mine": b"precious"}
