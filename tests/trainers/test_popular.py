"""`popular` is the popularity that foretold the past best, and as good as the baseline that is judged beside it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rec_export.checkpoint import Checkpoint
from rec_export.data.columns import DAY
from rec_export.models.popular import Mixture
from tests.conftest import command, done


@pytest.fixture(scope="session")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items that are liked for sixty days each, which overlap, and never again."""
    place, random = tmp_path_factory.mktemp("waves"), np.random.default_rng(0)
    day = np.sort(random.uniform(0, 400, 12_000))
    item = day // 2 + random.integers(0, 30, len(day))
    log = {"user_id": random.integers(0, 900, len(day)), "item_id": item.astype(int)}
    pd.DataFrame({**log, "timestamp": 1.6e9 + day * DAY // 1_000_000}).to_parquet(place / "log.parquet")
    (place / "config.yaml").write_text("data: {interactions: {path: log.parquet}}\nmodel: {name: popular}\n")
    return place


def test_the_half_life_that_foretold_best_has_nearly_all_of_the_mixture(waves: Path, tmp_path: Path) -> None:
    done("train", waves / "config.yaml", "--out", tmp_path / "c")
    told = json.loads((tmp_path / "c" / "metrics.json").read_text())
    items = Checkpoint.read(tmp_path / "c").towers.item_tower
    assert isinstance(items, Mixture)
    share = torch.softmax(items.share, 0)
    assert told["plan"]["clock"]["half_lives"][told["plan"]["recent"]] <= 7
    assert share[told["plan"]["recent"]] > 0.99
    assert (share > 0).all()
    held_out = told["held_out"]
    assert held_out["model"]["ndcg@10"] == pytest.approx(held_out["popular"]["ndcg@10"], abs=0.01)
    assert held_out["model"]["ndcg@10"] > 0.1  # where that of all time has next to nothing


def test_it_has_no_learning_rate_to_find(waves: Path, tmp_path: Path) -> None:
    code, _, err = command("find-lr", waves / "config.yaml", "--out", tmp_path / "range")
    assert (code, err) == (2, "Error: the model 'popular' does not learn by batches, which are what is tested\n")
