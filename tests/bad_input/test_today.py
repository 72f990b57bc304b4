"""What scoring reads today is held against what the model was trained on."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tests.bad_input.conftest import error, score
from tests.conftest import command, contents, write_table


def test_users_of_whom_nobody_is_known(exported: Path, shop: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "users.parquet", user_id=["nobody", "no one"])
    answer = score(exported, shop / "interactions.parquet", tmp_path, "--users", tmp_path / "users.parquet")
    assert answer == error(
        65,
        "none of the 2 users in DIR/users.parquet is in the bundle or the interactions, the first being 'nobody';"
        " check that the ids are of the same kind",
    )


def test_a_run_date_before_the_log(exported: Path, shop: Path, tmp_path: Path) -> None:
    log = Path(shutil.copy(shop / "interactions.parquet", tmp_path))
    assert score(exported, log, tmp_path, "--run-date", "2020-01-01") == error(
        65, "DIR/interactions.parquet has no row on or before 2020-01-01; name a later --run-date"
    )


def test_a_log_that_lost_a_column_since_training(exported: Path, shop: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(shop / "interactions.parquet").drop(["rating"]), tmp_path / "log.parquet")
    assert score(exported, tmp_path / "log.parquet", tmp_path) == error(
        2, "no column 'rating' in DIR/log.parquet; known: item_id, timestamp, user_id"
    )


def test_items_that_lost_a_column_since_training(exported: Path, shop: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(shop / "items.parquet").drop(["brand"]), tmp_path / "items.parquet")
    code, err, changed = score(exported, shop / "interactions.parquet", tmp_path, "--items", tmp_path / "items.parquet")
    assert (code, err.startswith("Error: no column 'brand' in DIR/items.parquet; "), changed) == (2, True, [])


def test_items_of_which_none_is_left(exported: Path, shop: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(shop / "items.parquet")[:0], tmp_path / "items.parquet")
    answer = score(exported, shop / "interactions.parquet", tmp_path, "--items", tmp_path / "items.parquet")
    assert answer == error(65, "DIR/items.parquet has no rows; is it the right file, and was it written to its end?")


def test_a_live_run_from_other_inputs_is_left_alone(scored: Path, exported: Path, shop: Path) -> None:
    before = contents(scored.parent)
    where = "--out", scored, "--run-date", "2026-10-31", "--k", 7
    code, _, err = command("-q", "score", exported, "--interactions", shop / "interactions.parquet", *where)
    live = next(path.stem[-12:] for path in scored.rglob("*.parquet"))
    assert (code, err) == (
        73,
        f"Error: {scored}/run_date=2026-10-31 already holds the run {live}, made with different k;"
        " put this one in its place with --replace, or choose another date or read root\n",
    )
    assert contents(scored.parent) == before


def test_a_log_of_strange_items_alone_is_refused(exported: Path, shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    log.assign(item_id="x" + log.item_id).to_parquet(tmp_path / "log.parquet")
    words = "--interactions", tmp_path / "log.parquet", "--out", tmp_path / "recs"
    code, _, err = command("-q", "score", exported, *words)
    assert (code, err.count("\n"), (tmp_path / "recs").exists()) == (65, 1, False)
    assert f"items in {tmp_path}/log.parquet is known to the bundle {exported}" in err


def test_users_of_another_type_are_refused(exported: Path, shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    log.assign(user_id=pd.factorize(log.user_id)[0]).to_parquet(tmp_path / "log.parquet")
    words = "--interactions", tmp_path / "log.parquet", "--out", tmp_path / "recs"
    code, _, err = command("-q", "score", exported, *words)
    assert (code, err.count("\n"), (tmp_path / "recs").exists()) == (65, 1, False)
    assert f"the users in {tmp_path}/log.parquet are int64, such as 0, but those of the bundle" in err


def test_a_log_of_mostly_strange_items_is_warned_of(exported: Path, shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    strange = np.arange(len(log)) % 3 > 0
    log.assign(item_id=np.where(strange, "x", "") + log.item_id).to_parquet(tmp_path / "log.parquet")
    words = "--interactions", tmp_path / "log.parquet", "--out", tmp_path / "recs"
    code, _, err = command("-q", "score", exported, *words)
    assert (code, "of items that the model does not know; check the ids, or train again" in err) == (0, True)
