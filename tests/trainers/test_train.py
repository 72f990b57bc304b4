"""Training finds what is planted, is the same for the same seed, and leaves a whole checkpoint or none."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rec_export.models
from rec_export.config import Config, Training
from rec_export.data.config import DataConfig, Interactions, Split
from rec_export.data.source import Source
from rec_export.data.split import Part
from rec_export.held_out import known_and_held_out
from rec_export.models import music, names, spec_of
from rec_export.towers import ModelSpec
from tests.conftest import command, config_file, contents, done, read_lists, write_table
from trainers.dataset import Dataset
from trainers.parallel import ALONE
from trainers.plan import plan
from trainers.ready import ready

GROUPS, USERS, ITEMS, LIKED = 4, 40, 15, 12  # users and items of each group, and what each user likes of its own group


@pytest.fixture(scope="module")
def cliques(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who like items of their own group alone; all groups and items are about equally popular."""
    folder = tmp_path_factory.mktemp("cliques")
    rng = np.random.default_rng(1)
    liked = [
        (g * USERS + u, g * ITEMS + i)
        for g in range(GROUPS)
        for u in range(USERS)
        for i in rng.permutation(ITEMS)[:LIKED]
    ]
    user, item = np.array(liked)[rng.permutation(len(liked))].T
    write_table(folder / "log.parquet", user_id=user, item_id=item)
    return folder


def sections(model: str, **training: Any) -> dict[str, Any]:
    """A configuration that holds a fifth of each user's rows out."""
    split = {"by": "user", "valid": 0.0, "test": 0.2}
    data = {"interactions": {"path": "log.parquet"}, "split": split}
    return {"data": data, "model": {"name": model}, "training": training}


LEARNERS = {
    "pmf": ({}, 0.03),
    "hybrid": ({}, 0.01),
    "gated": ({}, 0.01),
    "als": ({"factors": 8}, None),
    "bpr": ({"dim": 8}, None),
    "ncf": ({"dropout": 0.0}, 0.03),
    "dot": ({"name": "ncf", "kind": "dot", "dropout": 0.0}, 0.03),
    "music": ({"hidden": [32, 16]}, 0.01),
}
"""What each learns with: the model's numbers, and the learning rate."""


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_is_planted_is_found_where_popularity_is_blind(learner: str, cliques: Path, tmp_path: Path) -> None:
    numbers, lr = LEARNERS[learner]
    fields = sections(learner, epochs=40, lr=lr)
    if learner not in ("als", "bpr"):
        fields["training"]["batch"] = 64
    fields["model"].update(numbers)
    config = config_file(cliques, f"{learner}.yaml", **fields)
    done("train", config, "--out", tmp_path / "checkpoint")
    results = json.loads(done("evaluate", tmp_path / "checkpoint", "--k", 6, "--bootstrap", 100, "--json"))["results"]
    recall = {lister: results[lister]["all"]["metrics"]["recall@6"]["mean"] for lister in ("model", "popular")}
    # Of its group a user has 6 items left at most, so a list that knows the group holds all that is held out.
    assert recall["model"] > 0.95
    assert recall["popular"] < 0.4


def skewed(folder: Path) -> Path:
    """A log of users who like what is popular."""
    rng = np.random.default_rng(1)
    share = 1 / np.arange(1, 101)
    item = [rng.choice(100, 10, replace=False, p=share / share.sum()) for _ in range(100)]
    return write_table(folder / "log.parquet", user_id=np.repeat(np.arange(100), 10), item_id=np.concatenate(item))


REMARKED = ("no better", "validation"), ("worse", "test")


@pytest.mark.parametrize(("lr", "warned"), [(1e-9, 1), (0.03, 0)])
def test_train_evaluate_and_report_tell_of_a_model_that_is_no_better_than_popularity(
    lr: float, warned: int, cliques: Path, tmp_path: Path
) -> None:
    fields = sections("pmf", epochs=12, batch=64, lr=lr)
    fields["data"]["interactions"]["path"] = str(skewed(tmp_path) if warned else cliques / "log.parquet")
    fields["data"]["split"]["valid"] = 0.2
    said = done("train", config_file(tmp_path, **fields), "--out", tmp_path / "checkpoint")
    said += done("evaluate", tmp_path / "checkpoint", "--out", tmp_path / "judged", "--bootstrap", 100)
    pages = [tmp_path / f"{name}.html" for name in ("checkpoint", "judged")]
    for page in pages:
        done("report", page.with_suffix(""), "--out", page)
    lines = [f"pmf does {how} than popularity on the {rows} rows: ndcg@10" for how, rows in REMARKED]
    assert [said.count(f"WARNING   {line}") for line in lines] == [warned] * 2
    assert [page.read_text().count(line) for page, line in zip(pages, lines, strict=True)] == [warned] * 2


@pytest.mark.parametrize(
    "training",
    [
        {"loss": "bpr"},
        {"loss": "bce"},
        {"candidates": 20, "negatives": "uniform"},
        {"candidates": 20, "negatives": "popular", "logq": False},
        {"negatives": "batch"},
        {"loss": "bpr", "candidates": 20, "reject": False},
        {"schedule": "cosine"},
        {"schedule": "plateau", "clip": 1.0},
    ],
    ids=str,
)
def test_every_way_to_train_finds_what_is_planted(training: dict[str, Any], cliques: Path, tmp_path: Path) -> None:
    config = config_file(cliques, "way.yaml", **sections("pmf", epochs=40, batch=64, lr=0.03, **training))
    done("train", config, "--out", tmp_path / "checkpoint")
    results = json.loads(done("evaluate", tmp_path / "checkpoint", "--k", 6, "--bootstrap", 100, "--json"))["results"]
    assert results["model"]["all"]["metrics"]["recall@6"]["mean"] > 0.9


@pytest.mark.parametrize("model", ["pmf", "hybrid", "gated", "popular", "als", "bpr", "ncf", "music"])
def test_the_same_seed_gives_the_same_weights(model: str, cliques: Path, tmp_path: Path) -> None:
    config = config_file(cliques, f"seed-{model}.yaml", **sections(model, epochs=1, refit=False))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done("train", config, "--out", tmp_path / name, "--set", f"training.seed={seed}")
    a, b, c = ((tmp_path / name / "weights.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert (a == c) == (model == "popular")  # which begins with no randomness


def test_a_checkpoint_holds_the_config_that_made_it(cliques: Path, trained: Path, tmp_path: Path) -> None:
    config = config_file(cliques, "again.yaml", **sections("pmf", epochs=1, refit=False))
    done("train", config, "--out", tmp_path / "one")
    done("train", tmp_path / "one" / "config.yaml", "--out", tmp_path / "two")
    whole = contents(tmp_path / "one")
    assert {name for name, content in contents(tmp_path / "two").items() if content != whole[name]} <= {
        "metrics.json",  # which holds the seconds
        "history.jsonl",
    }


def test_nothing_but_the_best_epoch_is_kept(cliques: Path, tmp_path: Path) -> None:
    split = {"by": "user", "valid": 0.2, "test": 0.0}
    fields = sections("pmf", epochs=6, patience=6, batch=64, refit=False, seeds=1)
    config = config_file(cliques, "best.yaml", **{**fields, "data": {**fields["data"], "split": split}})
    done("train", config, "--out", tmp_path / "checkpoint")
    history = [json.loads(line) for line in (tmp_path / "checkpoint" / "history.jsonl").read_text().splitlines()]
    outcome = json.loads((tmp_path / "checkpoint" / "metrics.json").read_text())
    best = max(history, key=lambda epoch: (epoch["held_out"]["ndcg@10"], -epoch["epoch"]))
    assert (outcome["best_epoch"], outcome["held_out"]["model"]) == (best["epoch"], best["held_out"])


def test_targets_are_told_from_fewer_items_where_a_pair_costs_much(cliques: Path, tmp_path: Path) -> None:
    fields = sections("music")
    source = Source.read(Config.load(config_file(cliques, "wide.yaml", **fields)).data)
    dataset = Dataset.of(source, source.rows(Part.TRAIN))
    candidates = [plan(dataset, Training(), 20, music.Spec(hidden=(width,))).candidates for width in (8, 4096)]
    assert candidates == [None, 2**25 // (256 * 3 * 4096)]


def test_all_rows_are_learned_where_nothing_can_be_validated(tmp_path: Path) -> None:
    newcomers = [f"new{user}" for user in range(5) for _ in range(2)]
    users = [f"u{user}" for user in range(10) for _ in range(9)] + newcomers
    times = range(1_700_000_000, 1_700_000_100)
    write_table(
        tmp_path / "log.parquet",
        user_id=users,
        item_id=[f"i{i % 12}" for i in range(100)],
        time=times,
    )
    interactions = {"path": "log.parquet", "time": "time"}
    split = {"by": "time", "valid": 0.1, "test": 0.0}
    data = {"interactions": interactions, "split": split}
    config = config_file(tmp_path, data=data, model={"name": "pmf", "dim": 2}, training={"epochs": 1})
    answer = command("-q", "train", config, "--out", tmp_path / "c")
    said = "nobody who is learned from likes anything new in the validation rows; 1 epochs\n"
    assert (answer.code, answer.err) == (0, said)
    assert "100 rows, 15 users, 12 items" in answer.out


def test_of_two_logs_with_repeats_the_part_to_train_on_does_not_depend_on_later_rows(tmp_path: Path) -> None:
    times = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    log = {"user_id": [1, 1, 2, 2, 3, 3, 2, 3, 1, 2], "item_id": [7, 8, 7, 8, 7, 9, 9, 8, 7, 7], "time": times}
    write_table(tmp_path / "log.parquet", **{**log, "time": [1_700_000_000 + time for time in times]})
    interactions = Interactions(path=tmp_path / "log.parquet", time="time", repeats="last")
    source = Source.read(DataConfig(interactions=interactions, split=Split(by="none", valid=0.2)))
    assert len(source.events.positive) == 8  # of each pair the last
    timed = source.with_validation("time")
    users = timed.events.user_id.column().to_pylist()
    pairs = list(zip(users, timed.events.item_id.column().to_pylist(), timed.parts.tolist(), strict=True))
    assert [(user, item) for user, item, part in pairs if part == Part.TRAIN][:2] == [(1, 7), (1, 8)]
    assert [(user, item) for user, item, part in pairs if part == Part.VALID] == [(1, 7), (2, 7)]
    both = timed.rows(Part.TRAIN, Part.VALID)  # as a refit knows them, and whoever is judged on later rows
    known = [(user, item) for (user, item, _), here in zip(pairs, both, strict=True) if here]
    assert len(known) == len(set(known)) == 8
    later = write_table(tmp_path / "later.parquet", **{**log, "time": [1_800_000_000 + time for time in times]})
    _, held_out = known_and_held_out(source, DataConfig(interactions=interactions), later)
    assert len(held_out.positive) == 8
    split = source.config.model_copy(update={"split": Split(by="time", valid=0.2, test=0.2)})
    everything, _ = known_and_held_out(Source.read(split), split, later)  # each part without its own repeats alone
    assert len(everything.positive) == 8


KILLED = """
import os, signal, trainers.job as job
from rec_export.cli import main
job.write_weights = lambda *anything: os.kill(os.getpid(), signal.{signal})
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code", "left"), [("SIGTERM", 143, 1), ("SIGKILL", -signal.SIGKILL, 2)])
def test_killed_training_leaves_no_checkpoint(name: str, code: int, left: int, cliques: Path, tmp_path: Path) -> None:
    config = config_file(cliques, "killed.yaml", **sections("popular", epochs=1))
    program = [
        sys.executable,
        "-c",
        KILLED.format(signal=name),
        "train",
        str(config),
        "--out",
        str(tmp_path / "out" / "checkpoint"),
    ]
    killed = subprocess.run(program, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert killed.returncode == code
    unfinished = [path.name for path in (tmp_path / "out").iterdir()]  # what --resume needs; and half of a checkpoint
    assert (len(unfinished), all(path.startswith(".checkpoint.") for path in unfinished)) == (left, True)


@pytest.fixture
def fourth(tmp_path: Path) -> Iterator[str]:
    """A model file in a folder that nobody has heard of."""
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(Path(rec_export.models.__file__).parent / "pmf.py", folder / "fourth.py")
    rec_export.models.__path__.append(str(folder))
    yield "fourth"
    rec_export.models.__path__.remove(str(folder))


@pytest.mark.slow
def test_a_model_file_that_is_dropped_in_needs_no_other_edit(fourth: str, cliques: Path, tmp_path: Path) -> None:
    assert fourth in names()
    config = config_file(cliques, "fourth.yaml", **sections(fourth, epochs=1))
    done("train", config, "--out", tmp_path / "checkpoint", "--set", "model.dim=3")
    done("export", tmp_path / "checkpoint", "--out", tmp_path / "bundle")
    log = cliques / "log.parquet"
    done("score", tmp_path / "bundle", "--interactions", log, "--out", tmp_path / "recs", "--k", 5)
    assert len(read_lists(tmp_path / "recs")) == GROUPS * USERS * 5


@pytest.mark.parametrize("name", names())
def test_a_model_is_a_final_spec_whose_defaults_are_enough(name: str) -> None:
    spec = rec_export.models.spec_class(name)
    assert isinstance(spec(), ModelSpec)
    assert getattr(spec, "__final__", False)


def test_time_is_looked_at_only_where_what_is_held_out_comes_after_what_is_known(shop: Path) -> None:
    def timed(by: str) -> bool:
        config = Config.load(shop / "config.yaml", (f"data.split.by={by}",))
        spec = spec_of(config.model, "the configuration")
        return ready(config, spec, Source.read(config.data), ALONE.on("cpu")).plan.clock.timed

    assert {by: timed(by) for by in ("none", "time", "random", "user", "last")} == {
        "none": True, "time": True, "random": False, "user": False, "last": False,
    }  # fmt: skip
