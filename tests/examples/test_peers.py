"""The peers' lists are what their names say: known answers on a log that fits a page."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

DAY = 86_400
LOG = pd.DataFrame(
    [("u", "a", 0), ("v", "a", 0), ("w", "a", 0), ("u", "b", 40), ("v", "b", 40), ("w", "c", 50), ("w", "c", 60)],
    columns=["user_id", "item_id", "timestamp"],
)


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    """examples/peers.py."""
    path = Path(__file__).resolve().parents[2] / "examples" / "peers.py"
    spec = importlib.util.spec_from_file_location("peers", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000], ids=["seconds", "milliseconds", "microseconds"])
@pytest.mark.parametrize(
    ("peer", "lists"),
    [
        # From day 50, that of c's first row: b and c are younger than 30 days, a is 50 days old.
        (["recent", "--days", "30"], {"u": ["c"], "v": ["c"], "w": ["b"], "new": ["b", "c", "a"]}),
        # b and a weigh 2 x 2^-10 and 3 x 2^-50 at a half-life of a day.
        (["faded", "--days", "1"], {"u": ["c"], "v": ["c"], "w": ["b"], "new": ["c", "b", "a"]}),
        (["faded", "--days", "1000"], {"u": ["c"], "v": ["c"], "w": ["b"], "new": ["a", "b", "c"]}),
        (["itemknn", "--shrink", "0"], {"u": ["c"], "v": ["c"], "w": ["b"], "new": ["a", "b", "c"]}),
    ],
    ids=["recent", "faded fast", "faded slowly", "itemknn"],
)
def test_lists_have_known_answers(
    peer: list[str], lists: dict[str, list[str]], unit: int, peers: ModuleType, tmp_path: Path
) -> None:
    start = 1_600_000_000
    LOG.assign(timestamp=(start + LOG.timestamp * DAY) * unit).to_parquet(tmp_path / "log.parquet")
    pd.DataFrame({"user_id": ["u", "v", "w", "new"]}).to_parquet(tmp_path / "users.parquet")
    name, *options = peer
    paths = [str(tmp_path / f"{part}.parquet") for part in ("log", "users", "lists")]
    peers.main([name, *paths[:2], "--out", paths[2], *options])
    made = pd.read_parquet(paths[2])
    assert {user: rows.item_id.tolist() for user, rows in made.groupby("user_id", sort=False)} == lists
    assert all(rows["rank"].tolist() == list(range(1, len(rows) + 1)) for _, rows in made.groupby("user_id"))


def test_neighbours_are_weighed_by_their_cosine_and_older_items_of_a_user_count_for_less(
    peers: ModuleType, tmp_path: Path
) -> None:
    LOG.assign(timestamp=1_600_000_000 + LOG.timestamp * DAY).to_parquet(tmp_path / "log.parquet")
    log = peers.Log.read(tmp_path / "log.parquet")
    score = peers.itemknn(log, 10.0, 0.0, 9, 0.5)(log.users.get_indexer(pd.Index(["w"])))[0]
    near = {"b": 2 / np.sqrt(2 * 3) * 0.5**5, "c": 1 / np.sqrt(3) * 0.5**5, "a": 1 / np.sqrt(3)}
    assert dict(zip(log.items, score, strict=True)) == pytest.approx(near, rel=1e-5)
