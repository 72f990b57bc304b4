"""What `evaluate` says of a model is what an outside judge says of the lists that `score` publishes."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from tests.conftest import LAST_DAY, command, done

JUDGE = Path(__file__).parents[3] / "shared" / "tools" / "holdout.py"
NAMES = ("hr", "recall", "ndcg", "mrr")


@pytest.fixture(scope="module")
def judge() -> ModuleType:
    """shared/tools/holdout.py."""
    if not JUDGE.exists():
        pytest.skip(f"{JUDGE}, the outside judge, is not on this machine")
    spec = importlib.util.spec_from_file_location("holdout", JUDGE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def held_out(shop: Path) -> pd.DataFrame:
    """What users of the shop liked in the 30 days that follow, and had not met."""
    future = pd.read_parquet(shop / "future.parquet").query("rating >= 4").drop_duplicates(["user_id", "item_id"])
    log = pd.read_parquet(shop / "interactions.parquet")
    known = pd.MultiIndex.from_frame(log[["user_id", "item_id"]])
    return future[~pd.MultiIndex.from_frame(future[["user_id", "item_id"]]).isin(known)]


def evaluation(checkpoint: Path, *more: object) -> dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]:
    """The results by lister and segment."""
    results: dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]
    results = json.loads(done("evaluate", checkpoint, "--bootstrap", 0, "--json", *more))["results"]
    return results


@pytest.mark.parametrize("k", [5, 10])
def test_evaluate_agrees_with_the_judge_of_the_published_lists(
    k: int, judge: ModuleType, trained: Path, scored: Path, shop: Path, held_out: pd.DataFrame, tmp_path: Path
) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    mine = evaluation(trained, "--test", tmp_path / "test.parquet", "--k", k)["model"]
    recs = pd.read_parquet(scored / f"run_date={LAST_DAY}").sort_values(["user_id", "rank"])
    pairs = pd.MultiIndex.from_frame(recs[["user_id", "item_id"]])
    theirs = judge.per_user(recs, pairs, held_out, k, 50)
    log = pd.read_parquet(shop / "interactions.parquet")
    warm = theirs.index.isin(log.user_id)
    told = {
        "all": {name: round(theirs[f"{name}@{k}"].mean(), 5) for name in NAMES},
        "warm": {name: round(theirs[warm][f"{name}@{k}"].mean(), 5) for name in NAMES},
    }
    assert {s: {name: mine[s]["metrics"][f"{name}@{k}"]["mean"] for name in NAMES} for s in told} == told
    assert len(theirs[warm]) > 50


@pytest.fixture(scope="module")
def split_off(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of `popular` that held out the newest tenth of the shop's log, whose rows are shuffled."""
    folder = tmp_path_factory.mktemp("split_off")
    log = pd.read_parquet(shop / "interactions.parquet").sample(frac=1, random_state=1)
    log.to_parquet(folder / "interactions.parquet")
    for name in ("config.yaml", "items.parquet", "users.parquet"):
        shutil.copy(shop / name, folder)
    changes = "training.epochs=1", "model={name: popular}", "data.split={by: time, valid: 0.1, test: 0.1}"
    done("train", folder / "config.yaml", "--out", folder / "ckpt", *(w for c in changes for w in ("--set", c)))
    return folder


def test_a_split_of_its_own_is_judged_as_the_same_rows_from_a_file(split_off: Path, shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    edge = log.timestamp.quantile(0.9, interpolation="higher")
    log[log.timestamp >= edge].to_parquet(tmp_path / "later.parquet")
    assert evaluation(split_off / "ckpt") == evaluation(split_off / "ckpt", "--test", tmp_path / "later.parquet")


def test_a_log_that_has_changed_since_the_split_is_refused(split_off: Path, shop: Path) -> None:
    log = split_off / "interactions.parquet"
    whole = pd.read_parquet(log)
    whole[1:].to_parquet(log)
    answer = command("-q", "evaluate", split_off / "ckpt")
    assert (answer.code, answer.err) == (
        65,
        f"Error: {log} has changed since the checkpoint was trained, so its split would hold out other rows;"
        " restore it, or train again\n",
    )


def test_a_checkpoint_without_test_rows_asks_for_a_file(trained: Path) -> None:
    answer = command("-q", "evaluate", trained)
    assert (answer.code, answer.err) == (
        2,
        "Error: the checkpoint's split (data.split) holds out no test rows; name a file of later rows with --test,"
        " or train with --set data.split.by=time (or random)\n",
    )


def test_the_table_holds_whole_intervals_under_their_heads(
    trained: Path, held_out: pd.DataFrame, tmp_path: Path
) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    lines = done("evaluate", trained, "--test", tmp_path / "test.parquet", "--bootstrap", 20, "--k", 10).splitlines()
    head = next(line for line in lines if "ndcg" in line)
    rows = [line for line in lines if line.split()[:1] == ["hybrid"]]
    assert [row.count("[") for row in rows] == [row.count("]") for row in rows] == [4] * len(rows)
    assert {row.index("]") for row in rows} == {head.index("hr") + 1}
