"""Lists that may hold what was met have the term for habits in their scores; others have not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rec_export.bundle import Bundle
from rec_export.data.log import make_log, read_events
from rec_export.habit import Habit
from rec_export.scorer import Model, Scorer
from rec_export.topk import Seen
from rec_export.world import Timeline
from tests.conftest import LAST_DAY, command, done, read_lists, set_habit

HABIT = Habit(met=0.5, often=2.0, lately=0.25)
K = 120  # all items


@pytest.fixture(scope="module")
def log(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's log, in which many rows come again some days later."""
    rows = pd.read_parquet(shop / "interactions.parquet")
    again = rows[rows.rating >= 4].sample(frac=0.5, random_state=1)
    again = again.assign(timestamp=np.minimum(again.timestamp + 5 * 86_400, rows.timestamp.max()))
    path = tmp_path_factory.mktemp("again") / "interactions.parquet"
    pd.concat([rows, again, again[::3]]).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def bundle(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hybrid with habits, in two formats."""
    folder = tmp_path_factory.mktemp("habits")
    checkpoint = shutil.copytree(trained, folder / "checkpoint")
    set_habit(checkpoint, HABIT)
    done("export", checkpoint, "--out", folder / "bundle", "--format", "torchscript", "--format", "onnx")
    return folder / "bundle"


@pytest.fixture(scope="module")
def kept(bundle: Path, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The read root of lists that may hold what was met."""
    out = tmp_path_factory.mktemp("kept") / "recs"
    words = "--run-date", LAST_DAY, "--k", K, "--seen", "keep"
    done("score", bundle, "--interactions", log, "--out", out, *words)
    return out


def scores_without(bundle: Path, log: Path) -> pd.Series:
    """The scores of all pairs by the towers alone, by user and item."""
    read = Bundle.read(bundle)
    data = read.manifest.blueprint.data.interactions.model_copy(update={"path": log})
    users, items = read.catalogue.users.vocab, read.catalogue.items.vocab
    timeline = Timeline.of(make_log(read_events(data), users, items), len(users), len(items))
    world = timeline.as_of(None, read.manifest.blueprint.clock)
    scorer = Scorer(Model.of_bundle(read, "torchscript", torch.device("cpu")), read.catalogue, world)
    everybody = np.arange(len(users))
    hidden = Seen.none(len(users))
    top = scorer.listed(scorer.ranker, scorer.user_vectors(everybody), everybody, len(items), hidden).top
    user, item = np.array(users.ids.to_pylist())[:, None], np.array(items.ids.to_pylist())[top.item_row]
    index = pd.MultiIndex.from_arrays([np.broadcast_to(user, item.shape).ravel(), item.ravel()])
    return pd.Series(top.score.ravel(), index)


def test_a_score_is_the_model_s_and_the_term_for_what_the_user_liked_before(
    kept: Path, bundle: Path, log: Path
) -> None:
    alone, rows = scores_without(bundle, log), pd.read_parquet(log)
    liked = rows[rows.rating >= 4].groupby(["user_id", "item_id"]).timestamp.agg(["size", "max"])
    days = (liked["max"].max() - liked["max"]) / 86_400  # the world ends with its last liking
    term = HABIT.met + HABIT.often * np.log(liked["size"]) - HABIT.lately * np.log1p(days)
    lists = read_lists(kept).to_pandas().sort_values(["user_id", "rank"]).reset_index(drop=True)
    lists = lists[lists.source == "model"]
    pair = pd.MultiIndex.from_frame(lists[["user_id", "item_id"]])
    added = (lists.score.to_numpy() - alone.reindex(pair).to_numpy())[pair.isin(term.index)]
    assert len(added) > 1000
    assert (liked["size"] > 2).any()
    assert np.abs(added - term.reindex(pair[pair.isin(term.index)]).to_numpy()).max() < 1e-5
    assert (lists.groupby("user_id").score.diff().fillna(0) <= 0).all()
    assert (lists.groupby("user_id").item_id.nunique() == K).all()


def test_lists_without_what_was_met_have_no_such_term(trained: Path, bundle: Path, log: Path, tmp_path: Path) -> None:
    done("torchscript", trained, "--out", tmp_path / "bundle")
    words = "--interactions", log, "--run-date", LAST_DAY, "--k", 10
    done("score", bundle, *words, "--out", tmp_path / "one")
    done("score", tmp_path / "bundle", *words, "--out", tmp_path / "other")
    assert read_lists(tmp_path / "one").equals(read_lists(tmp_path / "other"))


def test_a_list_is_explained_with_the_term(kept: Path, bundle: Path, log: Path) -> None:
    rows = pd.read_parquet(log)
    liked = rows[rows.rating >= 4]
    (user,) = liked.user_id.mode()[:1]
    words = "explain", kept, "--bundle", bundle, "--user", user, "--interactions", log
    told = json.loads(done(*words, "--json"))
    assert told["terms"][-1] == "habit"
    mine = read_lists(kept).to_pandas().query("user_id == @user").sort_values("rank").item_id.tolist()
    assert [place["item"] for place in told["list"]] == mine == told["published"]
    known = set(liked[liked.user_id == user].item_id)
    for place in told["list"]:
        assert sum(place["terms"]) == pytest.approx(place["score"], abs=1e-9)
        assert (place["terms"][-1] != 0) is (place["item"] in known)
    assert max(one["worst"] for one in told["artefacts"]) < 1e-4
    mine = liked[liked.user_id == user].groupby("item_id").timestamp.agg(["size", "max"])
    for place in told["list"]:
        if place["item"] in mine.index:
            days = (liked.timestamp.max() - mine["max"][place["item"]]) / 86_400
            assert (place["times"], place["days"]) == (mine["size"][place["item"]], pytest.approx(days, abs=1e-6))
    (first,) = [place for place in told["list"] if place["times"]][:1]
    assert f"{first['terms'][-1]:+.3f} ({first['times']}x, {first['days']:.1f} days)" in done(*words)


def test_of_a_list_without_what_was_met_no_such_term_is_told(bundle: Path, log: Path, tmp_path: Path) -> None:
    done("score", bundle, "--interactions", log, "--run-date", LAST_DAY, "--out", tmp_path / "recs")
    user = pd.read_parquet(log).user_id.mode()[0]
    words = "explain", tmp_path / "recs", "--bundle", bundle, "--user", user, "--interactions", log
    told = json.loads(done(*words, "--json"))
    assert "habit" not in told["terms"]


def test_what_was_liked_and_is_sold_no_more_is_not_listed(
    kept: Path, bundle: Path, log: Path, shop: Path, tmp_path: Path
) -> None:
    items = pd.read_parquet(shop / "items.parquet")
    gone = set(pd.read_parquet(log).query("rating >= 4").item_id.value_counts().index[:5])
    items[~items.item_id.isin(gone)].to_parquet(tmp_path / "items.parquet")
    words = (
        "--interactions",
        log,
        "--run-date",
        LAST_DAY,
        "--k",
        K,
        "--seen",
        "keep",
        "--items",
        tmp_path / "items.parquet",
    )
    done("score", bundle, *words, "--out", tmp_path / "recs")
    lists, before = (read_lists(root).to_pandas() for root in (tmp_path / "recs", kept))
    wanted = before[~before.item_id.isin(gone)]
    assert lists.groupby("user_id").item_id.agg(list).equals(wanted.groupby("user_id").item_id.agg(list))


def test_the_popular_items_of_users_unknown_have_no_term(log: Path, shop: Path, tmp_path: Path) -> None:
    config = shop / "config.yaml", "--set", "model={name: pmf, dim: 4}", "--set", "training.epochs=1"
    done("train", *config, "--set", "data.split.by=random", "--out", tmp_path / "checkpoint")
    set_habit(tmp_path / "checkpoint", HABIT)
    done("torchscript", tmp_path / "checkpoint", "--out", tmp_path / "bundle")
    rows = pd.read_parquet(log)
    new = rows[rows.rating >= 4].head(6).assign(user_id=["one", "one", "one", "two", "two", "one"])
    pd.concat([rows, new]).to_parquet(tmp_path / "log.parquet")
    words = "--interactions", tmp_path / "log.parquet", "--run-date", LAST_DAY, "--k", 20, "--seen", "keep"
    done("score", tmp_path / "bundle", *words, "--out", tmp_path / "recs")
    lists = read_lists(tmp_path / "recs").to_pandas().sort_values("rank")
    one, two = (lists[lists.user_id == user][["item_id", "score", "source"]].to_numpy() for user in ("one", "two"))
    assert set(one[:, 2]) == {"fallback"}
    assert (one == two).all()


def test_a_checkpoint_of_before_has_no_habits(trained: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(trained, tmp_path / "checkpoint")
    spec = json.loads((checkpoint / "spec.json").read_text())
    del spec["habit"]
    (checkpoint / "spec.json").write_text(json.dumps(spec))
    assert command("inspect", checkpoint).code == 0


def test_a_shelf_of_what_was_met_says_no_more_than_is_so(bundle: Path, log: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(f"rules: {{allow_by_user: {{path: {log}}}}}\n")
    words = "--interactions", log, "--run-date", LAST_DAY, "--k", 50, "--seen", "keep"
    said = done("score", bundle, *words, "--rules", tmp_path / "rules.yaml", "--out", tmp_path / "recs")
    assert "there are not more that the rules let them have\n" in said
    met = set(pd.read_parquet(log)[["user_id", "item_id"]].itertuples(index=False, name=None))
    lists = read_lists(tmp_path / "recs").to_pandas()
    own = lists[lists.user_id.isin({user for user, _ in met})]
    assert set(own[["user_id", "item_id"]].itertuples(index=False, name=None)) <= met
    shelf = own[own.user_id == own.user_id.iloc[0]].item_id.tolist()
    assert sorted(shelf) == sorted({item for user, item in met if user == own.user_id.iloc[0]})
