"""Inputs as they should be, to be spoilt one at a time, and how a refusal looks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Refusal, config_file, refusal, write_table

ROWS, USERS, ITEMS = 300, 30, 20


def log_columns() -> dict[str, Any]:
    """300 events of 30 users and 20 items, as they should be."""
    rng = np.random.default_rng(0)
    return {
        "user_id": [f"u{user}" for user in rng.integers(0, USERS, ROWS)],
        "item_id": [f"i{item}" for item in rng.integers(0, ITEMS, ROWS)],
        "time": (1_700_000_000 + np.sort(rng.integers(0, 8_000_000, ROWS))).tolist(),
        "rating": rng.integers(1, 6, ROWS).astype(float).tolist(),
    }


def item_columns() -> dict[str, Any]:
    """20 items, as they should be."""
    return {
        "item_id": [f"i{item}" for item in range(ITEMS)],
        "price": [1.5 * item for item in range(ITEMS)],
        "brand": ["ab"[item % 2] for item in range(ITEMS)],
        "tags": [["x", "y"][: item % 3] for item in range(ITEMS)],
        "title": [f"red shoe {item % 4}" for item in range(ITEMS)],
    }


LOG = {"path": "log.parquet", "user": "user_id", "item": "item_id", "time": "time", "value": "rating"}
TABLE = {"path": "items.parquet", "id": "item_id"}
KINDS = {"dense": ["price"], "category": ["brand"], "tags": ["tags"], "text": ["title"]}
SECTIONS: dict[str, Any] = {
    "data": {"interactions": LOG, "items": {**TABLE, **KINDS}},
    "model": {"name": "popular"},
    "training": {"epochs": 1},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a log, items and a config that can be trained on."""
    folder = tmp_path / "place"
    folder.mkdir()
    write_table(folder / "log.parquet", **log_columns())
    write_table(folder / "items.parquet", **item_columns())
    config_file(folder, **SECTIONS)
    return folder


def train(place: Path, *more: object) -> Refusal:
    """Try to train on what lies there."""
    return refusal(place, "train", place / "config.yaml", "--out", place / "checkpoint", *more)


def with_log(place: Path, **section: Any) -> None:
    """Say something else about the log."""
    config_file(place, **{**SECTIONS, "data": {"interactions": {**LOG, **section}}})


def error(code: int, sentence: str) -> Refusal:
    """A refusal in one line that leaves everything as it was."""
    return Refusal(code, f"Error: {sentence}\n", [])


def test_what_should_be_is_accepted(place: Path) -> None:
    assert train(place)[:2] == (0, "")


def changed_log(place: Path, **columns: Any) -> Refusal:
    """Train on a log in which some columns are others."""
    write_table(place / "log.parquet", **{**log_columns(), **columns})
    return train(place)


def changed_items(place: Path, **columns: Any) -> Refusal:
    """Train on items of which some columns are others."""
    write_table(place / "items.parquet", **{**item_columns(), **columns})
    return train(place)


def score(bundle: Path, log: Path, folder: Path, *more: object) -> Refusal:
    """Try to score with a bundle."""
    return refusal(folder, "score", bundle, "--interactions", log, "--out", folder / "recs", *more)
