"""What `evaluate` says of a model is what an outside judge says of the lists that `score` publishes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from rec_export.data.config import Split
from tests.conftest import LAST_DAY, done

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


def test_a_split_of_its_own_is_judged_without_a_file(shop: Path, trained: Path, tmp_path: Path) -> None:
    changes = "training.epochs=1", "model.name=popular"
    done("train", shop / "config.yaml", "--out", tmp_path / "checkpoint", *(w for c in changes for w in ("--set", c)))
    results = evaluation(tmp_path / "checkpoint")
    assert set(results) >= {"model", "popular", "random"}
    assert Split().test > 0


def test_a_checkpoint_without_test_rows_asks_for_a_file(trained: Path) -> None:
    from tests.conftest import command

    answer = command("-q", "evaluate", trained)
    assert (answer.code, answer.err) == (
        2, "Error: the checkpoint's split (data.split) holds out no test rows; name a file of them with --test\n",
    )  # fmt: skip


def test_the_table_holds_whole_intervals_under_their_heads(
    trained: Path, held_out: pd.DataFrame, tmp_path: Path
) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    lines = done("evaluate", trained, "--test", tmp_path / "test.parquet", "--bootstrap", 20, "--k", 10).splitlines()
    head = next(line for line in lines if "ndcg" in line)
    rows = [line for line in lines if line.split()[:1] == ["hybrid"]]
    assert [row.count("[") for row in rows] == [row.count("]") for row in rows] == [4] * len(rows)
    assert {row.index("]") for row in rows} == {head.index("hr") + 1}
