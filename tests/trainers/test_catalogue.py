"""A catalogue of which nearly nothing was ever bought costs next to no hits: what nobody learned of stays below."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.conftest import command, config_file, done, write_table

SOLD, NEVER = 60, 6_000
ARTICLES, DAYS = 500, 50


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 60 items in three tastes, some bought more than others; beside the list of them one of 6,060."""
    folder = tmp_path_factory.mktemp("market")
    rng = np.random.default_rng(5)
    user, taste = np.arange(400).repeat(12), rng.integers(0, 3, 400).repeat(12)
    item = (np.minimum(rng.geometric(0.12, len(user)) - 1, 19) * 3 + taste) % SOLD
    write_table(folder / "log.parquet", user_id=user, item_id=item)
    write_table(folder / "sold.parquet", item_id=np.arange(SOLD))
    write_table(folder / "whole.parquet", item_id=rng.permutation(SOLD + NEVER))
    return folder


@pytest.fixture(scope="module")
def magazine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of articles that are read for some days, and a day more; beside the list of them one with an archive."""
    folder = tmp_path_factory.mktemp("magazine")
    rng = np.random.default_rng(6)
    written, day = np.sort(rng.uniform(0, DAYS, ARTICLES)), np.sort(rng.uniform(2, DAYS, 8_000))
    user, topic = rng.integers(0, 400, len(day)), rng.integers(0, 3, ARTICLES)
    chance = np.exp(written - day[:, None]) * (written < day[:, None]) * np.where(topic == user[:, None] % 3, 1.0, 0.1)
    item = (np.cumsum(chance, axis=1) < rng.uniform(0, chance.sum(1))[:, None]).sum(1)
    read = np.unique(item[day < DAYS - 1])
    for name, rows in (("log", day < DAYS - 1), ("later", (day >= DAYS - 1) & np.isin(item, read))):
        columns = {"user_id": user[rows], "item_id": item[rows], "timestamp": 1.7e9 + 86_400 * day[rows]}
        write_table(folder / f"{name}.parquet", **columns)
    write_table(folder / "sold.parquet", item_id=read)
    write_table(folder / "whole.parquet", item_id=rng.permutation(np.append(read, ARTICLES + np.arange(NEVER))))
    return folder


def judged(market: Path, items: str, model: str, out: Path, data: dict[str, Any], *test: object) -> dict[str, float]:
    """The metrics of a model that ranks these items."""
    data = {**data, "items": {"path": f"{items}.parquet", "id": "item_id"}}
    training = {"epochs": 8, "seeds": 1, "refit": False}
    path = config_file(market, f"{items}.yaml", data=data, model={"name": model}, training=training)
    done("train", path, "--out", out / items)
    said = json.loads(done("evaluate", out / items, *test, "--k", 10, "--bootstrap", 100, "--json"))
    assert said["items"] == len(pq.read_table(market / f"{items}.parquet"))
    return {name: value["mean"] for name, value in said["results"]["model"]["all"]["metrics"].items()}


@pytest.mark.parametrize("model", ["hybrid", "gated"])
def test_99_items_in_100_that_nobody_bought_cost_less_than_2_percent_of_hits(
    model: str, market: Path, tmp_path: Path
) -> None:
    data = {"interactions": {"path": "log.parquet"}, "split": {"by": "random", "valid": 0.1, "test": 0.2}}
    few, many = (judged(market, items, model, tmp_path, data) for items in ("sold", "whole"))
    assert few["hr@10"] > 0.6
    assert many["hr@10"] > 0.98 * few["hr@10"]
    assert many["ndcg@10"] > 0.98 * few["ndcg@10"]


@pytest.mark.parametrize("model", ["hybrid", "gated"])
def test_where_nearly_all_is_liked_when_it_is_new_an_archive_that_nobody_read_costs_next_to_nothing(
    model: str, magazine: Path, tmp_path: Path
) -> None:
    """What was new at past dates was liked soon; an archive was never liked as well, and looks the same."""
    data = {"interactions": {"path": "log.parquet", "time": "timestamp"}}
    tables, later = ("sold", "whole"), ("--test", magazine / "later.parquet")
    few, many = (judged(magazine, items, model, tmp_path, data, *later) for items in tables)
    assert few["ndcg@10"] > 0.1
    assert many["ndcg@10"] > 0.95 * few["ndcg@10"]


def test_it_is_told_that_validation_knows_nothing_of_most_articles(magazine: Path, tmp_path: Path) -> None:
    data = {"interactions": {"path": "log.parquet", "time": "timestamp"}}
    path = config_file(magazine, "told.yaml", data=data, model={"name": "popular"})
    said = re.search(r"([0-9,]+) of ([0-9,]+) held-out likings \((\d+)%\) are of users or items that came later",
                     command("train", path, "--out", tmp_path / "out").err)  # fmt: skip
    assert said is not None
    log = pq.read_table(magazine / "log.parquet").to_pandas().sort_values("timestamp")
    late = log.timestamp >= log.timestamp.quantile(0.9)
    new = ~log[late].item_id.isin(log[~late].item_id) | ~log[late].user_id.isin(log[~late].user_id)
    assert int(said[2].replace(",", "")) == pytest.approx(late.sum(), abs=2)
    assert int(said[3]) == pytest.approx(100 * new.mean(), abs=2)
