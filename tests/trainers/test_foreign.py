"""Lists of another system are judged as they stand, beside a model and on the same users."""

import json
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import LAST_DAY, Answer, command, done


@pytest.fixture(scope="module")
def later(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What users who are known already liked in the 30 days that follow."""
    path = tmp_path_factory.mktemp("later") / "test.parquet"
    known = pd.read_parquet(shop / "interactions.parquet").user_id
    future = pd.read_parquet(shop / "future.parquet")
    future[future.user_id.isin(known)].to_parquet(path)
    return path


def judged(trained: Path, later: Path, lists: Path, *more: object) -> Answer:
    """A comparison of the model with lists, at 10 items."""
    words = "--test", later, "--against", lists, "--k", 10, "--bootstrap", 100, "--json", *more
    return command("-q", "evaluate", trained, *words)


def written(path: Path, lists: pd.DataFrame) -> Path:
    """Lists as a file."""
    lists.to_parquet(path, index=False) if path.suffix == ".parquet" else lists.to_csv(path, index=False)
    return path


def test_what_was_published_is_what_the_model_is_judged_by(trained: Path, scored: Path, later: Path) -> None:
    code, out, err = judged(trained, later, scored)
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["results"]["against"] == said["results"]["model"]
    nothing = {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert said["paired"]["against"]["all"]["ndcg@10"] == nothing


def test_lists_of_any_kind_of_file_in_any_order_give_paired_differences(
    trained: Path, scored: Path, later: Path, tmp_path: Path
) -> None:
    lists = pd.concat(map(pd.read_parquet, scored.rglob("*.parquet")))[["rank", "item_id", "user_id"]]
    lists["rank"] = 11 - lists["rank"]  # upside down
    paths = [written(tmp_path / f"lists.{kind}", lists.sample(frac=1, random_state=2)) for kind in ("parquet", "csv")]
    one, other = (json.loads(judged(trained, later, path).out) for path in paths)
    assert one["paired"] == other["paired"]
    hit, order = (one["paired"]["against"]["all"][metric] for metric in ("hr@10", "ndcg@10"))
    assert (hit["low"], hit["high"]) == (0, 0)  # the same items
    assert order["mean"] > 0


def test_perfect_lists_have_perfect_figures_also_where_the_catalogue_lacks_the_item(
    trained: Path, shop: Path, later: Path, tmp_path: Path
) -> None:
    liked = pd.read_parquet(later).query("rating >= 4").drop_duplicates(["user_id", "item_id"])
    liked = pd.concat([liked, liked.drop_duplicates("user_id").assign(item_id="of another shop")])
    log = pd.read_parquet(shop / "interactions.parquet")
    known = pd.MultiIndex.from_frame(log[["user_id", "item_id"]])
    new = liked[~pd.MultiIndex.from_frame(liked[["user_id", "item_id"]]).isin(known)]
    lists = new.assign(rank=new.groupby("user_id").cumcount() + 1)[["user_id", "item_id", "rank"]]
    test, peer = written(tmp_path / "test.parquet", liked), written(tmp_path / "peer.parquet", lists)
    code, out, err = judged(trained, test, peer, "--out", tmp_path / "kept")
    assert (code, err) == (0, "")
    metrics = json.loads(out)["results"]["against"]["all"]["metrics"]
    assert {metrics[name]["mean"] for name in ("hr@10", "ndcg@10", "mrr@10")} == {1.0}


def test_lists_that_are_shorter_than_what_is_judged_are_told_of(
    trained: Path, scored: Path, later: Path, tmp_path: Path
) -> None:
    lists = pd.concat(map(pd.read_parquet, scored.rglob("*.parquet")))
    path = written(tmp_path / "lists.parquet", lists[lists["rank"] <= 4])
    code, _, err = judged(trained, later, path)
    assert code == 0
    assert f"the lists in {path} have no more than 4 items, and all beyond is a miss; compare at --k 4 or less" in err
    words = "--test", later, "--against", path, "--k", 4, "--bootstrap", 100
    assert command("-q", "evaluate", trained, *words).err == ""


def test_a_user_without_a_list_is_a_miss_and_is_told_of(
    trained: Path, scored: Path, later: Path, tmp_path: Path
) -> None:
    lists = pd.concat(map(pd.read_parquet, scored.rglob("*.parquet")))
    users = pd.read_parquet(later).query("rating >= 4").user_id.unique()
    path = written(tmp_path / "lists.parquet", lists[lists.user_id != users[0]])
    code, out, err = judged(trained, later, path)
    said = f"judged users have no list in {path}; they count as misses"
    assert (code, "1 of " in err, said in err) == (0, True, True)
    assert json.loads(out)["results"]["against"]["all"]["users"] == json.loads(out)["results"]["model"]["all"]["users"]


ONE: dict[str, list[Any]] = {"user_id": ["u1", "u1"], "item_id": ["a", "b"], "rank": [1, 2]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rank": [0, 1]}, "should hold whole numbers, from 1 on for each user, and does not"),
        ({"rank": [1.5, 2]}, "should hold whole numbers, from 1 on for each user, and does not"),
        ({"rank": [2, 2]}, "1 rows of DIR/lists.parquet repeat the rank of a user, such as 'u1'; mend the lists"),
        (
            {"item_id": ["a", "a"]},
            "1 rows of DIR/lists.parquet repeat the item of a user, such as 'u1'; mend the lists",
        ),
        (
            {},
            "no judged user has a list in DIR/lists.parquet, which has 'u1'; check that they are ids of the same kind",
        ),
        ({"user_id": ["u1", None]}, "1 rows of DIR/lists.parquet have no user_id; mend the lists"),
        ({"item_id": [None, "b"]}, "1 rows of DIR/lists.parquet have no item_id; mend the lists"),
    ],
    ids=["from 0", "halves", "a rank twice", "an item twice", "nobody that is judged", "no user", "no item"],
)
def test_what_are_no_lists_is_one_clear_line(
    change: dict[str, list[Any]], sentence: str, trained: Path, later: Path, tmp_path: Path
) -> None:
    code, _, err = judged(trained, later, written(tmp_path / "lists.parquet", pd.DataFrame({**ONE, **change})))
    assert (code, err.count("\n"), sentence in err.replace(str(tmp_path), "DIR")) == (65, 1, True), err


def test_lists_of_items_of_another_kind_are_refused(trained: Path, scored: Path, later: Path, tmp_path: Path) -> None:
    lists = pd.concat(map(pd.read_parquet, scored.rglob("*.parquet")))
    path = written(tmp_path / "lists.parquet", lists.assign(item_id=lists.item_id.astype("category").cat.codes))
    code, _, err = judged(trained, later, path)
    assert (code, "no item of the catalogue stands in" in err, "ids of the same kind" in err) == (65, True, True)


def test_a_file_of_something_else_names_the_column(trained: Path, later: Path) -> None:
    code, _, err = judged(trained, later, later)
    assert (code, "no column 'rank' in" in err) == (2, True)


def test_the_table_tells_the_difference(trained: Path, scored: Path, later: Path) -> None:
    lines = done("evaluate", trained, "--test", later, "--against", scored, "--k", 10, "--bootstrap", 100).splitlines()
    assert [line for line in lines if line.startswith("  against  +")] == ["  against  +0.0000"]


def shares(split: str, shop: Path, folder: Path) -> tuple[Path, Path]:
    """A checkpoint that holds out test rows of the shop's log, and the log."""
    log = shop / "interactions.parquet"
    changes = f"data.split.by={split}", "data.split.test=0.1", "model={name: popular}"
    done("train", shop / "config.yaml", "--out", folder / "judged", *(w for c in changes for w in ("--set", c)))
    return folder / "judged", log


@pytest.mark.parametrize("split", ["time", "random"])
def test_lists_that_knew_the_held_out_rows_are_refused(split: str, exported: Path, shop: Path, tmp_path: Path) -> None:
    checkpoint, log = shares(split, shop, tmp_path)
    done("score", exported, "--interactions", log, "--out", tmp_path / "recs", "--run-date", LAST_DAY)
    code, out, err = command("-q", "evaluate", checkpoint, "--against", tmp_path / "recs")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"the lists in {tmp_path / 'recs'} were made from a log up to 2026-10-31T" in err
    lone = next((tmp_path / "recs").rglob("part-*.parquet"))  # of which no manifest tells anything
    assert command("-q", "evaluate", checkpoint, "--against", lone, "--bootstrap", 100).code == 0


def test_a_log_that_goes_on_after_the_first_held_out_row_is_warned_of(
    trained: Path, exported: Path, later: Path, shop: Path, tmp_path: Path
) -> None:
    future = pd.read_parquet(later)
    written(tmp_path / "log.parquet", pd.concat([pd.read_parquet(shop / "interactions.parquet"), future]))
    day = datetime.fromtimestamp(float(future.timestamp.max()), UTC).date()
    words = "--interactions", tmp_path / "log.parquet", "--run-date", day
    done("score", exported, *words, "--out", tmp_path / "recs")
    code, _, err = judged(trained, later, tmp_path / "recs", "--out", tmp_path / "kept")
    told = json.loads((tmp_path / "kept" / "evaluation.json").read_text())["warnings"]
    assert all(line in err for line in told)
    done("report", tmp_path / "kept", "--out", tmp_path / "report.html")
    page = unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [len(told) > 0, all(line in page for line in told), f"was held against {tmp_path / 'recs'}" in page] == [
        True
    ] * 3
    said = f"the lists in {tmp_path / 'recs'} were made from a log up to {day}T"
    assert (code, said in err, "if it holds held-out rows, what users liked in them was left out" in err) == (
        0,
        True,
        True,
    )


def test_without_time_a_log_of_more_rows_than_are_known_is_warned_of(shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet").drop(columns="timestamp")
    whole, copied = written(tmp_path / "log.parquet", log), written(tmp_path / "copy.parquet", log.sample(frac=1))
    (tmp_path / "config.yaml").write_text(f"data: {{interactions: {{path: {whole}}}}}\nmodel: {{name: popular}}\n")
    for name, changes in (("part", ("--set", "data.split={by: random, valid: 0.1, test: 0.2}")), ("all", ())):
        done("train", tmp_path / "config.yaml", "--out", tmp_path / name, *changes)
        done("export", tmp_path / name, "--out", tmp_path / f"{name}-bundle", "--format", "torchscript")
    done("score", tmp_path / "all-bundle", "--interactions", copied, "--out", tmp_path / "recs")
    said = f"were made from a log of {len(log)} rows, where "
    code, _, err = command("-q", "evaluate", tmp_path / "part", "--against", tmp_path / "recs", "--bootstrap", 100)
    assert (code, said in err, "if it holds held-out rows, what users liked in them was left out" in err) == (
        0,
        True,
        True,
    )
    future = written(tmp_path / "later.parquet", log.sample(50, random_state=1).assign(item_id=log.item_id.iloc[0]))
    words = "--test", future, "--against", tmp_path / "recs", "--bootstrap", 100
    code, _, err = command("-q", "evaluate", tmp_path / "all", *words)
    assert (code, said in err) == (0, False)


def test_a_folder_of_dates_without_lists_is_one_clear_line(trained: Path, later: Path, tmp_path: Path) -> None:
    (tmp_path / "recs" / "run_date=2026-10-31").mkdir(parents=True)
    code, _, err = judged(trained, later, tmp_path / "recs")
    assert (code, err.count("\n")) == (66, 1)


def test_a_run_of_before_the_held_out_rows_is_judged(exported: Path, shop: Path, tmp_path: Path) -> None:
    checkpoint, log = shares("time", shop, tmp_path)
    known = pd.read_parquet(log)
    first = known.timestamp.quantile(0.9)
    before = datetime.fromtimestamp(float(first), UTC).date() - timedelta(days=1)
    done("score", exported, "--interactions", log, "--out", tmp_path / "recs", "--run-date", before)
    assert command("-q", "evaluate", checkpoint, "--against", tmp_path / "recs", "--bootstrap", 100).code == 0
    written(tmp_path / "known.parquet", known[known.timestamp < known.timestamp.quantile(0.85)])
    words = "--interactions", tmp_path / "known.parquet", "--run-date", before
    done("score", exported, *words, "--out", tmp_path / "other")
    assert command("-q", "evaluate", checkpoint, "--against", tmp_path / "other", "--bootstrap", 100).code == 0


def test_a_run_that_the_gates_refused_is_judged_as_lists(
    exported: Path, trained: Path, shop: Path, later: Path, tmp_path: Path
) -> None:
    words = "--interactions", shop / "interactions.parquet", "--run-date", LAST_DAY
    done("score", exported, *words, "--out", tmp_path / "recs")
    (manifest,) = (tmp_path / "recs.control" / "manifests").rglob("*.json")
    kept = tmp_path / "recs.control" / "failed" / manifest.stem
    kept.mkdir(parents=True)
    live = tmp_path / "recs" / manifest.parent.name
    (live / "_SUCCESS").unlink(missing_ok=True)
    manifest.rename(kept / "manifest.json")
    live.rename(kept / live.name)
    assert judged(trained, later, kept).code == 0
