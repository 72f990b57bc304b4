"""A catalogue of which nearly nothing was ever bought costs next to no hits: what nobody learned of stays below."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import config_file, done, write_table

SOLD, NEVER = 60, 6_000


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


def judged(market: Path, items: str, model: dict[str, Any], out: Path) -> dict[str, float]:
    """The metrics of a model that ranks these items, on a fifth of the rows."""
    data = {
        "interactions": {"path": "log.parquet"},
        "items": {"path": f"{items}.parquet", "id": "item_id"},
        "split": {"by": "random", "valid": 0.1, "test": 0.2},
    }
    training = {"epochs": 8, "seeds": 1, "refit": False}
    path = config_file(market, f"{items}.yaml", data=data, model=model, training=training)
    done("train", path, "--out", out / items)
    said = json.loads(done("evaluate", out / items, "--k", 10, "--bootstrap", 100, "--json"))
    assert said["items"] == {"sold": SOLD, "whole": SOLD + NEVER}[items]
    return {name: value["mean"] for name, value in said["results"]["model"]["all"]["metrics"].items()}


@pytest.mark.parametrize("model", ["hybrid", "gated"])
def test_99_items_in_100_that_nobody_bought_cost_less_than_2_percent_of_hits(
    model: str, market: Path, tmp_path: Path
) -> None:
    few, many = (judged(market, items, {"name": model}, tmp_path) for items in ("sold", "whole"))
    assert few["hr@10"] > 0.6
    assert many["hr@10"] > 0.98 * few["hr@10"]
    assert many["ndcg@10"] > 0.98 * few["ndcg@10"]
