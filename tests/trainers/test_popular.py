"""`popular` is the popularity that foretold the past best, and as good as the baseline that is judged beside it."""

import json
from pathlib import Path

import pytest
import torch

from rec_export.checkpoint import Checkpoint
from rec_export.models.popular import Mixture
from tests.conftest import command, done


def test_the_half_life_that_foretold_best_has_nearly_all_of_the_mixture(shop: Path, tmp_path: Path) -> None:
    done("train", shop / "config.yaml", "--out", tmp_path / "c", "--set", "model={name: popular}")
    told = json.loads((tmp_path / "c" / "metrics.json").read_text())
    items = Checkpoint.read(tmp_path / "c").towers.item_tower
    assert isinstance(items, Mixture)
    share = torch.softmax(items.share, 0)
    assert len(share) > len(told["plan"]["clock"]["half_lives"]) > 1
    assert share[told["plan"]["recent"]] > 0.99
    assert (share > 0).all()
    held_out = told["held_out"]
    assert held_out["model"]["ndcg@10"] == pytest.approx(held_out["popular"]["ndcg@10"], abs=0.0005)


def test_it_has_no_learning_rate_to_find(shop: Path, tmp_path: Path) -> None:
    code, _, err = command(
        "find-lr", shop / "config.yaml", "--set", "model={name: popular}", "--out", tmp_path / "range"
    )
    assert (code, err) == (2, "Error: the model 'popular' does not learn by batches, which are what is tested\n")
