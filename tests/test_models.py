"""Every model goes through the whole job on a log with time: train, export, score."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

from rec_export.models import names
from tests.conftest import LAST_DAY, done, read_lists


@pytest.mark.slow
@pytest.mark.parametrize("model", names())
def test_every_model_trains_exports_and_scores(model: str, shop: Path, tmp_path: Path) -> None:
    changes = f"model={{name: {model}}}", "data.split.by=none", "training.epochs=1", "training.refit=false"
    checkpoint, bundle, recs = (tmp_path / name for name in ("checkpoint", "bundle", "recs"))
    log = shop / "interactions.parquet"
    done("train", shop / "config.yaml", "--out", checkpoint, *(word for it in changes for word in ("--set", it)))
    done("torchscript", checkpoint, "--out", bundle)
    done("score", bundle, "--interactions", log, "--out", recs, "--k", 10, "--run-date", LAST_DAY)
    lists = read_lists(recs)
    assert len(lists) == 10 * len(pc.unique(lists["user_id"]))
    assert "model" in lists["source"].to_pylist()
    assert pc.all(pc.is_finite(lists["score"])).as_py()
