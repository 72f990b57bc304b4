"""What `evaluate` says of a model is what an outside judge says of the lists that `score` publishes."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from rec_export.checkpoint import Checkpoint
from rec_export.held_out import known_and_test
from tests.conftest import LAST_DAY, command, config_file, done, write_table

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
    results = json.loads(done("evaluate", checkpoint, "--bootstrap", 100, "--json", *more))["results"]
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


def test_with_a_later_file_the_test_part_of_the_split_is_known(split_off: Path, shop: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(split_off / "ckpt")
    known, test = known_and_test(checkpoint, shop / "future.parquet")
    assert len(known.positive) == len(pd.read_parquet(shop / "interactions.parquet"))  # as `score` would read it
    assert len(test.positive) == len(pd.read_parquet(shop / "future.parquet"))


def test_of_a_log_that_has_gone_on_the_held_out_rows_are_not_known(shop: Path, tmp_path: Path) -> None:
    for name in ("interactions.parquet", "config.yaml", "items.parquet", "users.parquet"):
        shutil.copy(shop / name, tmp_path)
    changes = "model={name: popular}", "data.split.by=none"
    done("train", tmp_path / "config.yaml", "--out", tmp_path / "ckpt", *(w for c in changes for w in ("--set", c)))
    log, later = tmp_path / "interactions.parquet", shop / "future.parquet"
    then = evaluation(tmp_path / "ckpt", "--test", later)
    old, new = pd.read_parquet(log), pd.read_parquet(later)
    for whole in (pd.concat([old, new]), pd.concat([new[::2], old]), old[::-1]):
        whole.to_parquet(log)
        assert evaluation(tmp_path / "ckpt", "--test", later) == then
    assert then["model"]["warm"]["metrics"]["hr@10"]["mean"] > 0


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


def test_a_log_without_time_is_told_of_no_later_rows_and_no_split_by_time(tmp_path: Path) -> None:
    log = {"path": str(write_table(tmp_path / "log.parquet", user_id=list("aabbcc"), item_id=list("xyyzzx")))}
    config = config_file(tmp_path, data={"interactions": log}, model={"name": "popular"})
    done("train", config, "--out", tmp_path / "ckpt")
    judged = command("-q", "evaluate", tmp_path / "ckpt")
    compared = command("-q", "ablate", config, "--out", tmp_path / "out", "--variant", "short:training.epochs=1")
    ways = "; name a file of other rows with --test, or {} with --set data.split.by=random (or user)\n"
    assert [(one.code, one.err) for one in (judged, compared)] == [
        (2, "Error: the checkpoint's split (data.split) holds out no test rows" + ways.format("train")),
        (2, "Error: nothing is held out to judge by" + ways.format("split the log")),
    ]


def test_paired_differences_are_those_of_the_same_users(trained: Path, held_out: pd.DataFrame, tmp_path: Path) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    words = "--test", tmp_path / "test.parquet", "--k", 10, "--bootstrap", 100, "--json"
    said = json.loads(done("evaluate", trained, *words))
    assert set(said["paired"]) == {"popular", "recent", "random"}
    for lister, segments in said["paired"].items():
        for segment, metrics in segments.items():
            mine, theirs = (said["results"][name][segment]["metrics"] for name in ("model", lister))
            for metric, difference in metrics.items():
                assert difference["mean"] == pytest.approx(mine[metric]["mean"] - theirs[metric]["mean"], abs=2e-5)
                assert difference["low"] <= difference["mean"] <= difference["high"]


def test_a_checkpoint_against_itself_is_no_better_and_no_worse(
    trained: Path, held_out: pd.DataFrame, tmp_path: Path
) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    words = "--against", trained, "--test", tmp_path / "test.parquet", "--k", 10, "--bootstrap", 100, "--json"
    said = json.loads(done("evaluate", trained, *words))
    assert said["results"]["against"] == said["results"]["model"]
    nothing = {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert all(d == nothing for metrics in said["paired"]["against"].values() for d in metrics.values())


def test_a_rival_whose_rows_are_in_another_order_is_judged_as_by_itself(
    trained: Path, held_out: pd.DataFrame, shop: Path, tmp_path: Path
) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    changes = (
        "model.dim=4",
        "training.epochs=1",
        "training.refit=false",
        "data.split.by=none",
        "data.minimum.per_item=40",
    )
    words = [word for change in changes for word in ("--set", change)]
    done("train", shop / "config.yaml", "--out", tmp_path / "rival", *words)
    test = "--test", tmp_path / "test.parquet", "--k", 10
    alone = evaluation(tmp_path / "rival", *test)["model"]["all"]["metrics"]
    beside = evaluation(trained, *test, "--against", tmp_path / "rival")["against"]["all"]["metrics"]
    means = [{metric: value["mean"] for metric, value in one.items()} for one in (alone, beside)]
    assert means[0] == means[1]  # intervals draw users by their places
    assert means[0]["ndcg@10"] > 0


def test_every_users_metrics_are_kept(trained: Path, held_out: pd.DataFrame, tmp_path: Path) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    words = "--test", tmp_path / "test.parquet", "--k", 10, "--bootstrap", 100, "--out", tmp_path / "out"
    done("evaluate", trained, *words)
    said = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    rows = pd.read_parquet(tmp_path / "out" / "by_user.parquet")
    assert list(rows.lister.unique()) == list(said["results"])
    for lister, mine in rows.groupby("lister"):
        assert mine.user_id.is_unique
        found = said["results"][lister]
        assert (len(mine), int(mine.warm.sum())) == (found["all"]["users"], found["warm"]["users"])
        few = mine.warm & mine.liked_before.between(4, 10)
        for metric in ("ndcg@10", "hr@10", "recall@10", "mrr@10", "auc@10"):
            assert mine[metric].mean() == pytest.approx(found["all"]["metrics"][metric]["mean"], abs=1e-5)
            assert mine[metric][few].mean() == pytest.approx(found["4-10"]["metrics"][metric]["mean"], abs=1e-5)
    assert set(rows.user_id) <= set(held_out.user_id)
    model = rows[rows.lister == "model"]
    assert model.held_out.sum() <= len(held_out)
    assert (model["recall@10"] * model.held_out).round(6).mod(1).eq(0).all()


def test_another_log_cannot_be_compared_with(split_off: Path, trained: Path, shop: Path) -> None:
    code, _, err = command(
        "-q", "evaluate", trained, "--test", shop / "future.parquet", "--against", split_off / "ckpt"
    )
    assert (code, "did not learn from the same files: data.interactions" in err) == (2, True)


def test_another_split_cannot_be_compared_with(trained: Path, shop: Path, tmp_path: Path) -> None:
    changes = "model={name: popular}", "training.epochs=1", "data.split={by: random}"
    words = [word for change in changes for word in ("--set", change)]
    done("train", shop / "config.yaml", "--out", tmp_path / "other", *words)
    code, _, err = command(
        "-q", "evaluate", trained, "--test", shop / "future.parquet", "--against", tmp_path / "other"
    )
    assert (code, "differ in what is held out: data.split.by is random and none" in err) == (2, True)


def test_segments_by_length_are_the_warm_users(trained: Path, held_out: pd.DataFrame, tmp_path: Path) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    said = json.loads(done("evaluate", trained, "--test", tmp_path / "test.parquet", "--bootstrap", 100, "--json"))
    users = {name: segment["users"] for name, segment in said["results"]["model"].items()}
    assert list(users) == ["all", "warm", "cold", "<=3", "4-10", "11-30", ">30"]
    assert sum(users[name] for name in ("<=3", "4-10", "11-30", ">30")) == users["warm"] > 0


def test_of_99_drawn_items_the_figures_are_marked_as_such(
    trained: Path, held_out: pd.DataFrame, tmp_path: Path
) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    words = "--test", tmp_path / "test.parquet", "--k", 10, "--bootstrap", 100, "--negatives", 30
    lines = done("evaluate", trained, *words, "--verbose").splitlines()
    place = lines.index(
        "among sampled items, for comparison with papers alone: not to be compared with the figures above"
    )
    assert [line.split()[0] for line in lines[place + 2 : place + 5]] == ["hybrid", "popular", "recent"]
    said = json.loads(done("evaluate", trained, *words, "--json"))
    assert (set(said["sampled"]["recent"]), said["negatives"]) == ({"hr@10", "ndcg@10"}, 30)
    code, _, err = command("-q", "evaluate", trained, *words[:-1], 120)
    assert (code, err) == (2, "Error: --negatives 120 is no sample of 120 items; draw fewer\n")
    assert 10 / 31 < said["sampled"]["recent"]["hr@10"] < 1  # better than chance


def test_the_table_holds_whole_intervals_under_their_heads(
    trained: Path, held_out: pd.DataFrame, tmp_path: Path
) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    words = "--test", tmp_path / "test.parquet", "--bootstrap", 100, "--k", 10, "--verbose"
    lines = done("evaluate", trained, *words).splitlines()
    head = next(line for line in lines if "ndcg" in line)
    rows = [line for line in lines if line.split()[:2] == ["hybrid", "10"]]
    assert [row.count("[") for row in rows] == [row.count("]") for row in rows] == [4] * len(rows)
    assert {row.index("]") for row in rows} == {head.index("hr") + 1}


def test_what_is_said_unasked_fits_a_screen(trained: Path, held_out: pd.DataFrame, tmp_path: Path) -> None:
    held_out.to_parquet(tmp_path / "test.parquet")
    words = "--test", tmp_path / "test.parquet", "--bootstrap", 100
    lines = done("evaluate", trained, *words).splitlines()
    assert len(lines) < 30
    place = next(place for place, line in enumerate(lines) if line.startswith("ndcg@10 by kind"))
    assert lines[place].split()[4:] == ["hybrid", "popular", "recent", "random"]
    kinds = [line[:18].rstrip() for line in lines[place + 1 : place + 7]]
    assert kinds == ["warm", "cold", "warm, <=3 liked", "warm, 4-10 liked", "warm, 11-30 liked", "warm, >30 liked"]
    assert lines[-1].startswith("more: --verbose; all there is: --json")
