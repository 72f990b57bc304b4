"""Lists that may hold what a user has met are judged on it, beside each user's own habits."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from exporters.quality import lists
from rec_export.checkpoint import Checkpoint
from rec_export.data.log import Log
from rec_export.held_out import HeldOut, known_and_test
from rec_export.topk import Seen
from rec_export.variant import K
from rec_export.world import Timeline
from tests.conftest import command, config_file, done, set_habit
from trainers.habits import by_habit, habits
from trainers.listers import Lister, scorer_of

DAY = 86_400


@pytest.mark.parametrize(
    ("days", "wanted"),
    [
        ([1, 1, 2, 3, 4, 9], [[3, 2, 1], [2], []]),
        ([1, 1, 2, 3, 2, 9], [[3, 1, 2], [2], []]),  # of one day the more popular
        (None, [[3, 1, 2], [2], []]),
    ],
)
def test_habits_are_the_most_frequent_first_then_the_newest_then_the_most_popular(
    days: list[int] | None, wanted: list[list[int]]
) -> None:
    bought = [(0, 3), (1, 2), (0, 1), (0, 3), (0, 2), (0, 4)]
    user, item = np.array(bought, np.int32).T
    liked, time = np.array([True] * 5 + [False]), None if days is None else np.array(days)
    timeline = Timeline.of(Log(user, item, time, None, liked), 3, 5)
    found = habits(timeline, np.array([0, 2, 1, 0, 5], np.float32))
    assert [found.item_row[a:b].tolist() for a, b in zip(found.start, found.start[1:], strict=False)] == wanted


def test_after_habits_come_others_and_nothing_twice() -> None:
    own = Seen.of(np.array([0, 0, 2]), np.array([7, 3, 5]), 3)
    lister = by_habit(own, Lister(lambda user, k: np.tile(np.array([3, 1, 7, 2])[:k], (len(user), 1))))
    assert lister.lists(np.array([0, 1, 2]), 4).tolist() == [[7, 3, 1, 2], [3, 1, 7, 2], [5, 3, 1, 7]]
    assert lister.lists(np.array([0]), 1).tolist() == [[7]]


@pytest.fixture(scope="module")
def grocer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with `score.seen: keep`, of a log where everybody buys a few favourites again and again."""
    folder = tmp_path_factory.mktemp("grocer")
    rng = np.random.default_rng(3)
    user = np.repeat(np.arange(120), 40)
    favourite = rng.permuted(np.tile(np.arange(60), (120, 1)), axis=1)[:, :4]
    again = rng.random(len(user)) < 0.8
    item = np.where(again, favourite[user, rng.integers(0, 4, len(user))], rng.integers(0, 60, len(user)))
    time = 1_700_000_000 + rng.integers(0, 90 * DAY, len(user))
    log = pd.DataFrame({"user_id": user, "item_id": item, "timestamp": time})
    log.to_parquet(folder / "interactions.parquet")
    data = {"interactions": {"path": "interactions.parquet", "time": "timestamp"}, "split": {"by": "time"}}
    path = config_file(folder, "config.yaml", data=data, model={"name": "pmf", "dim": 4}, score={"seen": "keep"})
    done("train", path, "--out", folder / "checkpoint", "--set", "training.epochs=1")
    return folder


def test_lists_that_keep_what_was_met_are_judged_on_it_beside_habits(grocer: Path) -> None:
    words = "evaluate", grocer / "checkpoint", "--k", 4, "--bootstrap", 100
    kept, new = (json.loads(done(*words, *more, "--json")) for more in ((), ("--seen", "exclude")))
    assert (kept["seen"], new["seen"]) == ("keep", "exclude")
    assert "habit" not in new["results"]
    log = pd.read_parquet(grocer / "interactions.parquet").sort_values("timestamp", kind="stable")
    edge = log.timestamp.quantile(0.9, interpolation="higher")
    known, later = log[log.timestamp < edge], log[log.timestamp >= edge].drop_duplicates(["user_id", "item_id"])
    assert kept["test_rows"] == len(later)
    met = pd.MultiIndex.from_frame(known[["user_id", "item_id"]])
    assert new["test_rows"] == int((~pd.MultiIndex.from_frame(later[["user_id", "item_id"]]).isin(met)).sum())
    recall = []
    for user, items in later.groupby("user_id").item_id:
        last = {item: place for place, item in enumerate(known[known.user_id == user].item_id)}
        count = Counter(known[known.user_id == user].item_id)
        best = sorted(count, key=lambda item: (-count[item], -last[item]))[:4]
        recall.append(len({*best} & {*items}) / len(items))
    assert kept["results"]["habit"]["all"]["metrics"]["recall@4"]["mean"] == pytest.approx(np.mean(recall), abs=1e-5)


def test_a_model_that_foresees_less_than_habits_is_said_to(grocer: Path, tmp_path: Path) -> None:
    without = shutil.copytree(grocer / "checkpoint", tmp_path / "checkpoint")
    set_habit(without, None)
    warning = "pmf does worse than what each user has liked most often on the test rows"
    for checkpoint, warned in ((without, True), (grocer / "checkpoint", False)):
        answer = command("-q", "evaluate", checkpoint, "--k", 10, "--bootstrap", 100)
        assert "what users had met counts as well, as lists may hold it (score.seen: keep)" in answer.out
        assert (warning in answer.out + answer.err) is warned


def test_sampled_ranks_are_by_scores_with_habits(grocer: Path, tmp_path: Path) -> None:
    without = shutil.copytree(grocer / "checkpoint", tmp_path / "checkpoint")
    set_habit(without, None)
    words = "--k", 4, "--bootstrap", 100, "--negatives", 20, "--json"
    told = [json.loads(done("evaluate", one, *words))["sampled"] for one in (grocer / "checkpoint", without)]
    assert told[0]["model"]["ndcg@4"] > told[1]["model"]["ndcg@4"] + 0.1
    assert told[0]["popular"] == told[1]["popular"]


def test_what_is_held_out_cannot_be_a_variant(grocer: Path, tmp_path: Path) -> None:
    words = "ablate", grocer / "config.yaml", "--out", tmp_path / "out", "--variant", "new:score.seen=exclude"
    code, _, err = command("-q", *words)
    assert (code, "the variant 'new' sets score.seen, and so what is held out" in err) == (2, True)


def test_lists_without_what_was_met_are_warned_of_where_that_is_held_out(grocer: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(grocer / "interactions.parquet").sort_values("timestamp", kind="stable")
    known = log[log.timestamp < log.timestamp.quantile(0.9, interpolation="higher")]
    known.to_parquet(tmp_path / "known.parquet")
    done("export", grocer / "checkpoint", "--out", tmp_path / "bundle", "--format", "torchscript")
    for seen in ("keep", "exclude"):
        score = "score", tmp_path / "bundle", "--interactions", tmp_path / "known.parquet", "--seen", seen
        done(*score, "--out", tmp_path / seen, "--run-date", "2024-02-04")
        words = "evaluate", grocer / "checkpoint", "--k", 4, "--bootstrap", 100, "--against", tmp_path / seen
        said = command("-q", *words).err
        assert ("leave out what users had met, which is held out as well" in said) is (seen == "exclude")


def test_lists_of_what_was_met_are_told_of_where_that_is_no_target(grocer: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(grocer / "interactions.parquet").sort_values("timestamp", kind="stable")
    known = log[log.timestamp < log.timestamp.quantile(0.9, interpolation="higher")]
    counts = known.groupby(["user_id", "item_id"]).size().sort_values(ascending=False).reset_index()
    again = counts.groupby("user_id").head(4)[["user_id", "item_id"]]
    again.assign(rank=again.groupby("user_id").cumcount() + 1).to_parquet(tmp_path / "again.parquet")
    words = "evaluate", grocer / "checkpoint", "--k", 4, "--bootstrap", 100, "--against", tmp_path / "again.parquet"
    warning = "100% had been met by their users, which is a miss; --seen keep judges by it"
    assert warning in command("-q", *words, "--seen", "exclude").err
    assert warning not in command("-q", *words).err


def test_the_report_says_that_what_was_met_is_held_out(grocer: Path, tmp_path: Path) -> None:
    done("evaluate", grocer / "checkpoint", "--k", 4, "--bootstrap", 100, "--out", tmp_path / "ev")
    done("report", tmp_path / "ev", "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "what users had met is held out as well, and may stand in lists." in page
    assert "a baseline: what each user has liked most often" in page


def test_variants_of_a_configuration_that_keeps_what_was_met_are_judged_by_it(grocer: Path, tmp_path: Path) -> None:
    words = "--variant", "wide:model.dim=5", "--seeds", 1, "--k", 4, "--bootstrap", 100
    done("ablate", grocer / "config.yaml", "--set", "training.epochs=1", "--out", tmp_path / "out", *words)
    told = json.loads((tmp_path / "out" / "ablation.json").read_text())["variants"]["base"]
    judged = json.loads(done("evaluate", tmp_path / "out" / "base" / "seed-42", "--k", 4, "--bootstrap", 100, "--json"))
    assert judged["seen"] == "keep"
    mean = judged["results"]["model"]["all"]["metrics"]["ndcg@4"]["mean"]
    assert told["metrics"]["ndcg@4"]["mean"] == pytest.approx(mean, abs=1e-5)


def test_what_a_lossy_copy_costs_is_measured_by_lists_that_keep_what_was_met(grocer: Path, tmp_path: Path) -> None:
    done("export", grocer / "checkpoint", "--out", tmp_path / "bundle", "--format", "onnx")
    checkpoint = Checkpoint.read(grocer / "checkpoint")
    held_out = HeldOut.of(checkpoint, *known_and_test(checkpoint, None))
    scorer = scorer_of(checkpoint, held_out, torch.device("cpu"))
    kept, new = (scorer.best(held_out.user, K, keep_seen).top.item_row for keep_seen in (True, False))
    assert (lists(checkpoint, held_out, tmp_path / "bundle", "onnx") == kept).mean() > 0.99  # bits may swap neighbours
    assert (kept == new).mean() < 0.9
