"""The trainer of `bpr`: tastes are told apart, the same seed is the same model, and what breaks says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from rec_export.checkpoint import Checkpoint
from rec_export.models.bpr import ItemFactors, UserFactors
from rec_export.world import Timeline
from tests.conftest import config_file, done, refusal, write_table
from trainers.bpr import likings_of

HALF = 30  # users, and items, of each clique
DAY = 86_400 * 1_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two cliques: even users like even items, odd users odd ones, a third of them each."""
    rng = np.random.default_rng(0)
    user, item = np.divmod(np.arange((2 * HALF) ** 2), 2 * HALF)
    kept = (user % 2 == item % 2) & (rng.random(len(user)) < 1 / 3)
    return write_table(tmp_path / "log.parquet", user_id=user[kept], item_id=item[kept])


def trained(folder: Path, log: Path, out: str, **training: Any) -> Path:
    """A small model of all rows."""
    data = {"interactions": {"path": log.name}, "split": {"by": "random", "valid": 0, "test": 0}}
    plan = {"epochs": 30, "seeds": 1, **training}
    config = config_file(folder, data=data, model={"name": "bpr", "dim": 4}, training=plan)
    done("train", config, "--out", folder / out)
    return folder / out


def test_two_cliques_are_told_apart_also_where_nothing_was_seen(log: Path, tmp_path: Path) -> None:
    _, towers, catalogue = Checkpoint.read(trained(tmp_path, log, "checkpoint"))
    users, items = towers.user_tower, towers.item_tower
    assert isinstance(users, UserFactors)
    assert isinstance(items, ItemFactors)
    factors = (tower.factors.table.weight[:-1].detach().numpy() for tower in (users, items))
    score = np.matmul(next(factors), next(factors).T) + items.bias.table.weight[:-1, 0].detach().numpy()
    ids = (np.array(side.vocab.take(np.arange(2 * HALF)).to_pylist()) for side in (catalogue.users, catalogue.items))
    same = next(ids)[:, None] % 2 == next(ids) % 2
    assert np.where(same, score, np.inf).min(1).mean() > np.where(same, -np.inf, score).max(1).mean()


def test_what_nobody_liked_yet_stands_with_the_least_liked(log: Path, tmp_path: Path) -> None:
    _, towers, _ = Checkpoint.read(trained(tmp_path, log, "checkpoint", epochs=2))
    assert isinstance(towers.item_tower, ItemFactors)
    bias = towers.item_tower.bias.table.weight[:, 0]
    assert bias[-1] == bias[:-1].min() < bias[:-1].max()
    assert not towers.item_tower.factors.table.weight[-1].any()


def test_a_seed_is_a_model(log: Path, tmp_path: Path) -> None:
    seeds = {"one": 1, "again": 1, "other": 2}
    out = {name: trained(tmp_path, log, name, epochs=3, seed=seed) for name, seed in seeds.items()}
    weights = {name: (path / "weights.safetensors").read_bytes() for name, path in out.items()}
    assert weights["one"] == weights["again"] != weights["other"]


def test_a_rate_that_is_too_high_is_one_clear_line(log: Path, tmp_path: Path) -> None:
    config = config_file(
        tmp_path,
        data={"interactions": {"path": log.name}},
        model={"name": "bpr", "dim": 4},
        training={"lr": 1e25},
    )
    found = refusal(tmp_path, "train", config, "--out", tmp_path / "checkpoint")
    said = "in epoch 1; the learning rate (1e+25) is probably too high, or a value in the data is beyond reason\n"
    assert (found.code, found.err.startswith("Error: the loss is "), found.err.endswith(said)) == (65, True, True)
    assert (found.err.count("\n"), found.changed) == (1, [])


def test_a_log_without_likings_is_refused(log: Path, tmp_path: Path) -> None:
    rows = len(pq.read_table(log))
    write_table(log, user_id=np.arange(rows), item_id=np.arange(rows), value=np.zeros(rows))
    interactions = {"path": log.name, "value": "value", "positive": 1}
    config = config_file(tmp_path, data={"interactions": interactions}, model={"name": "bpr"})
    found = refusal(tmp_path, "train", config, "--out", tmp_path / "checkpoint")
    assert (found.code, found.changed) == (65, [])


def test_likings_weigh_by_value_and_half_as_much_for_each_half_life() -> None:
    time = np.array([0, 10, 0, 10]) * DAY
    value = np.array([1.0, 1.0, 1.0, 7.0], np.float32)
    none = np.zeros(0, np.int64)
    timeline = Timeline(np.array([2, 1, 0, 2]), time, value, np.array([0, 2, 4]), none, time, none, none, none, 3)
    found = likings_of(timeline, recency=10.0)
    assert (found.user.tolist(), found.item.tolist()) == ([0, 0, 1, 1], [1, 2, 0, 2])
    old, large = 0.5, np.log1p(7) + 1
    usual = 1 + np.log1p(1)
    expected = np.array([usual, old * usual, old * usual, large])
    np.testing.assert_allclose(found.weight, expected / expected.mean(), rtol=1e-5)
