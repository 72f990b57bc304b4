"""Two processes that torchrun starts train the model that one trains; the parts of a batch are the batch."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from rec_export.config import Config
from rec_export.errors import UsageError
from tests.conftest import command, config_file, done, write_table
from trainers.examples import Batch
from trainers.job import TrainJob, run
from trainers.losses import Pairs, bpr, none_of
from trainers.parallel import Group

SEVERAL = """
import sys
from pathlib import Path
from rec_export.config import Config
from trainers.job import TrainJob, run
from trainers.parallel import joined
with joined() as group:
    for path in map(Path, sys.argv[1:]):
        run(TrainJob(config=Config.load(path), out=path.with_suffix(".two")), group=group)
"""
KILLED = """
import os, signal, trainers.loop as loop
from rec_export.cli import main
whole, count = loop.Run.epoch, 0
def epoch(self, number):
    global count
    count += 1
    if (count, self.group.rank) == (3, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, number)
loop.Run.epoch = epoch
main()
"""
WEIGHTS = "weights.safetensors"
# A bias that is the same for all items has a gradient of rounding errors alone in a softmax, which Adam blows up.
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hybrid": ({"name": "hybrid", "dim": 8, "dropout": 0}, {"loss": "bce", "candidates": 10}),
    "pmf": ({"name": "pmf", "dim": 4}, {"loss": "bce"}),
    "ratings": ({"name": "pmf", "dim": 4}, {"loss": "mse", "metric": "rmse"}),
    "gated": ({"name": "gated", "dim": 8, "dropout": 0, "balance": 0}, {"loss": "bce", "row_wise": 10}),
    "sharded": (
        {"name": "gated", "dim": 8, "dropout": 0, "balance": 0},
        {"loss": "bce", "row_wise": 10, "shard": True},
    ),
}


def config(folder: Path, name: str, model: dict[str, Any], **training: Any) -> Path:
    """A made-up log in which some items are popular for a while, and few users come early; nothing is dropped out."""
    rng = np.random.default_rng(3)
    when = np.sort(rng.beta(3, 1, 800))
    write_table(
        folder / "log.parquet",
        user_id=rng.integers(0, 60, 800),
        item_id=((when * 12).astype(int) * 3 + rng.integers(0, 6, 800)) % 30,
        time=(1_600_000_000 + when * 10_000_000).astype(int),
        rating=rng.integers(1, 6, 800),
    )
    interactions = {"path": "log.parquet", "time": "time", **({"value": "rating"} if name == "ratings" else {})}
    usual = {"epochs": 4, "patience": 4, "batch": 40, "seeds": 1, "id_dropout": 0}
    return config_file(
        folder, f"{name}.yaml", data={"interactions": interactions}, model=model, training={**usual, **training}
    )


def in_two(*arguments: object, program: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run `rec-export ARGUMENTS` in two processes."""
    what = ["-m", "rec_export.cli"] if program is None else [program]
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *what]
    with TemporaryDirectory() as place:  # torchrun leaves its logs there
        environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "TMPDIR": place}
        return subprocess.run(
            [*words, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False, timeout=300
        )


def errors(answer: "subprocess.CompletedProcess[str]") -> list[str]:
    """The lines that tell what is wrong."""
    return re.findall(r"^Error: (.*)$", answer.stderr, re.MULTILINE)


def assert_same_training(one: Path, two: Path) -> None:
    """The same epochs, the same best one of them, the same weights up to rounding."""
    epochs = [[json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()] for path in (one, two)]
    for mine, theirs in zip(*epochs, strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=3e-5)
        assert mine["held_out"] == theirs["held_out"]
        for segment, shares in mine["gate"].items():
            assert shares == pytest.approx(theirs["gate"][segment], abs=2e-4)
    best = [json.loads((path / "metrics.json").read_text())["best_epoch"] for path in (one, two)]
    assert best[0] == best[1]
    weights, others = (load_file(path / WEIGHTS) for path in (one, two))
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, others[name], atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    paths = {name: config(tmp_path, name, model, **training) for name, (model, training) in MODELS.items()}
    for name, path in paths.items():
        done("train", path, "--out", tmp_path / f"{name}.one")
    (tmp_path / "several.py").write_text(SEVERAL)
    answer = in_two(*paths.values(), program=str(tmp_path / "several.py"))
    assert answer.returncode == 0, answer.stderr
    for name in paths:
        assert_same_training(tmp_path / f"{name}.one", tmp_path / f"{name}.two")
    shapes = [
        {n: w.shape for n, w in load_file(tmp_path / f"sharded.{end}" / WEIGHTS).items()} for end in ("one", "two")
    ]
    assert shapes[0] == shapes[1]  # whole


@pytest.mark.slow
def test_where_one_process_is_killed_the_other_ends_and_both_go_on_to_the_weights_of_one(tmp_path: Path) -> None:
    path = config(tmp_path, "pmf", MODELS["pmf"][0], **MODELS["pmf"][1], row_wise=10, shard=True)
    said = done("train", path, "--out", tmp_path / "one")
    (tmp_path / "killed.py").write_text(KILLED)
    answer = in_two("-q", "train", path, "--out", tmp_path / "two", program=str(tmp_path / "killed.py"))
    assert answer.returncode != 0
    assert "SIGKILL" in answer.stderr  # torchrun says so, and may end the other before that can tell
    lost = "another process of this training has ended, or cannot be reached"
    assert [line.split(" (")[0] for line in errors(answer)] in ([lost], [])
    assert not (tmp_path / "two").exists()
    shutil.copytree(tmp_path / ".two.training", tmp_path / ".alone.training")
    answer = in_two("train", path, "--out", tmp_path / "two", "--resume")
    assert answer.returncode == 0, answer.stderr
    assert len(re.findall("^search goes on after epoch 2$", answer.stderr, re.MULTILINE)) == 1
    assert answer.stdout.split(" epoch")[0] == said.split(" epoch")[0]
    assert_same_training(tmp_path / "one", tmp_path / "two")
    assert len(re.findall("4 long tables are shared out: this process holds", answer.stderr)) == 2  # search and refit
    done("train", path, "--out", tmp_path / "alone", "--resume")  # what is kept is whole
    assert_same_training(tmp_path / "one", tmp_path / "alone")
    assert sorted(os.listdir(tmp_path)) == ["alone", "killed.py", "log.parquet", "one", "pmf.yaml", "two"]


@pytest.mark.slow
def test_a_mistake_is_told_once_with_its_exit_code(tmp_path: Path) -> None:
    path = config(tmp_path, "pmf", {"name": "pmf"})
    (tmp_path / "log.parquet").write_bytes(b"PAR1 no more")
    answer = in_two("-q", "train", path, "--out", tmp_path / "two")
    assert answer.returncode != 0
    assert len(errors(answer)) == 1
    assert re.findall(r"exitcode +: (\d+)", answer.stderr)[-1] == "65"
    assert sorted(os.listdir(tmp_path)) == ["log.parquet", "pmf.yaml"]


def test_a_model_that_learns_in_one_process_is_refused_in_two(tmp_path: Path) -> None:
    path = config(tmp_path, "als", {"name": "als"})
    with pytest.raises(UsageError, match="the model 'als' learns in one process; train it without torchrun"):
        run(TrainJob(config=Config.load(path), out=tmp_path / "out"), group=Group(0, 2, 0, torch.device("cpu")))


def test_shared_tables_are_refused_with_compiled_towers(tmp_path: Path) -> None:
    path = config(tmp_path, "pmf", {"name": "pmf"}, shard=True, compile=True)
    with pytest.raises(UsageError, match=r"leave training\.compile out"):
        run(TrainJob(config=Config.load(path), out=tmp_path / "out"), group=Group(0, 2, 0, torch.device("cpu")))


def test_half_of_an_environment_is_no_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    code, _, err = command("train", config(tmp_path, "pmf", {"name": "pmf"}), "--out", tmp_path / "out")
    assert (code, err.startswith("Error: WORLD_SIZE is set, but not all else that torchrun sets")) == (2, True)


def test_an_environment_that_torchrun_did_not_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "train", config(tmp_path, "popular", {"name": "popular"}), "--out", tmp_path / "out"
    monkeypatch.setenv("WORLD_SIZE", "two")
    code, _, err = command("-q", *words)
    assert (code, err) == (2, "Error: WORLD_SIZE is 'two', but should be a number, as torchrun sets it\n")
    monkeypatch.setenv("WORLD_SIZE", "")
    assert command("-q", *words).code == 0


def test_other_commands_are_refused_under_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = command("tune", config(tmp_path, "pmf", {"name": "pmf"}), "--out", tmp_path / "out")
    assert (code, err) == (2, "Error: tune works in one process, but WORLD_SIZE is 2; torchrun is for train alone\n")


@given(
    targets=st.lists(st.integers(0, 3), min_size=1, max_size=7).filter(any),
    parts=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_the_parts_of_a_batch_are_the_batch_and_their_losses_add_up_to_its_own(
    targets: list[int], parts: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    examples, owner = len(targets), np.repeat(np.arange(len(targets)), targets)
    score = torch.from_numpy(rng.normal(size=(examples, 5)))
    batch = Batch(
        moment=0,
        user=rng.integers(0, 9, examples),
        history=rng.integers(0, 9, (examples, 2)),
        size=np.arange(examples),  # tells which example it is
        context=np.zeros((examples, 1), np.float32),
        owner=owner,
        target=rng.integers(0, 5, len(owner)),
        weight=rng.uniform(0.5, 2, len(owner)).astype(np.float32),
        seen_owner=np.arange(examples),
        seen=np.arange(examples) + 10,
    )

    def loss(part: Batch) -> float:
        mine, rows, columns = (torch.from_numpy(column) for column in (part.size, part.owner, part.target))
        weight, own = torch.from_numpy(part.weight), score[mine][rows, columns]
        return float(bpr(score[mine], own, rows, weight, none_of(Pairs(rows, rows))))

    several = [batch.part(place, parts) for place in range(parts)]
    for name in ("user", "history", "size", "target"):
        assert np.concatenate([getattr(part, name) for part in several]).tolist() == getattr(batch, name).tolist()
    for part in several:
        assert (part.seen[part.seen_owner] - 10).tolist() == part.size.tolist()
        assert part.size[part.owner].tolist() == owner[np.isin(owner, part.size)].tolist()
    assert sum(part.share for part in several) == pytest.approx(1)
    assert sum(map(loss, several)) == pytest.approx(loss(batch.part(0, 1)), rel=1e-5)
