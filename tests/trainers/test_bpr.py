"""The trainer of `bpr`: what its likings weigh, where unknown items stand, and that what breaks says so."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from rec_export.checkpoint import Checkpoint
from rec_export.data.log import Log
from rec_export.models.bpr import ItemFactors, Spec
from rec_export.towers import Sizes, TableSizes
from rec_export.world import Timeline
from tests.conftest import config_file, done, refusal, write_table
from trainers.bpr import likings_of

DAY = 86_400 * 1_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of few users and items, some liked more often than others."""
    rng = np.random.default_rng(0)
    pairs = np.unique((rng.random((300, 2)) ** 2 * [30, 20]).astype(np.int64), axis=0)
    return write_table(tmp_path / "log.parquet", user_id=pairs[:, 0], item_id=pairs[:, 1])


@pytest.mark.parametrize(("given", "with_order", "without"), [(None, 0.015, 0.03), (0.5, 0.5, 0.5)])
def test_rows_are_held_back_more_where_order_means_nothing(
    given: float | None, with_order: float, without: float
) -> None:
    spec, table = Spec(regularization=given), TableSizes(rows=3)
    told = [spec.held_back(Sizes(users=table, items=table, ordered=ordered)) for ordered in (True, False)]
    assert told == [with_order, without]


def test_what_nobody_liked_yet_stands_with_the_least_liked(log: Path, tmp_path: Path) -> None:
    data = {"interactions": {"path": log.name}}
    training = {"epochs": 2, "seeds": 1}
    config = config_file(tmp_path, data=data, model={"name": "bpr", "dim": 4}, training=training)
    done("train", config, "--out", tmp_path / "checkpoint")
    towers = Checkpoint.read(tmp_path / "checkpoint").towers
    assert isinstance(towers.item_tower, ItemFactors)
    bias = towers.item_tower.bias.table.weight[:, 0]
    assert bias[-1] == bias[:-1].min() < bias[:-1].max()
    assert not towers.item_tower.factors.table.weight[-1].any()


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
    rows = np.array([0, 0, 1, 1], np.int32), np.array([2, 1, 0, 2], np.int32)
    order = np.array([0, 2, 1, 3])  # in time
    log = Log(*rows, time, value, np.ones(4, bool)).at(order)
    timeline = Timeline.of(log, users=2, items=3)
    found = likings_of(timeline, recency=10.0)
    assert (found.user.tolist(), found.item.tolist()) == ([0, 0, 1, 1], [1, 2, 0, 2])
    old, large = 0.5, np.log1p(7) + 1
    usual = 1 + np.log1p(1)
    expected = np.array([usual, old * usual, old * usual, large])
    np.testing.assert_allclose(found.weight, expected / expected.mean(), rtol=1e-5)


def test_likings_fade_by_the_horizon_where_time_tells_something(shop: Path, tmp_path: Path) -> None:
    words = "--set", "model={name: bpr, dim: 4}", "--set", "training.epochs=1", "--set", "training.refit=false"
    done("train", shop / "config.yaml", "--out", tmp_path / "checkpoint", *words)
    plan = json.loads((tmp_path / "checkpoint" / "metrics.json").read_text())["plan"]
    assert plan["clock"]["half_lives"]
    assert plan["recency"] == plan["clock"]["horizon"]


def test_a_half_life_that_all_but_ends_old_likings_breaks_nothing(log: Path, tmp_path: Path) -> None:
    table = pq.read_table(log)
    days = np.arange(len(table)) * 86_400
    write_table(log, **{name: table[name] for name in table.column_names}, time=1_600_000_000 + days)
    config = config_file(
        tmp_path,
        data={"interactions": {"path": log.name, "time": "time"}},
        model={"name": "bpr", "dim": 4},
        training={"recency": 0.5, "epochs": 3},
    )
    done("train", config, "--out", tmp_path / "checkpoint")
    weights = load_file(tmp_path / "checkpoint" / "weights.safetensors")
    assert {name: bool(np.abs(weight).max() < 10) for name, weight in weights.items()} == dict.fromkeys(weights, True)
