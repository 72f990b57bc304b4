"""A training that was killed goes on to the weights of an undisturbed one; nothing else is taken for it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rec_export.errors import BusyError
from rec_export.files import locked
from tests.conftest import command, config_file, contents, done, write_table
from trainers.journal import Progress, kept

KILLED = """
import os, signal, trainers.{module} as module
from rec_export.cli import main
whole, count = module.{course}.epoch, 0
def epoch(self, number):
    global count
    count += 1
    if count == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, number)
module.{course}.epoch = epoch
main()
"""
WEIGHTS = "weights.safetensors"


def config(folder: Path, model: dict[str, Any], **training: Any) -> Path:
    """A made-up log with time, and few epochs."""
    rng = np.random.default_rng(3)
    user, item = rng.integers(0, 40, 600), rng.integers(0, 25, 600)
    write_table(
        folder / "log.parquet",
        user_id=user,
        item_id=item,
        time=np.sort(rng.integers(1_600_000_000, 1_610_000_000, 600)),
    )
    data = {"interactions": {"path": "log.parquet", "time": "time"}}
    return config_file(folder, data=data, model=model, training={"epochs": 4, "patience": 4, **training})


def killed(folder: Path, at: int, module: str = "loop", course: str = "Run") -> None:
    """Train, and die by SIGKILL at the start of the epoch that is the `at`-th of all phases."""
    program = KILLED.format(module=module, course=course, at=at)
    words = [sys.executable, "-c", program, "train", str(folder / "config.yaml"), "--out", str(folder / "checkpoint")]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    assert subprocess.run(words, capture_output=True, check=False, env=environment).returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 3, 5], ids=["at once", "in the search", "in the refit"])
@pytest.mark.parametrize(
    ("model", "training"),
    [
        ({"name": "gated", "dim": 8}, {"schedule": "cosine"}),
        ({"name": "pmf", "dim": 4}, {"schedule": "plateau"}),
        ({"name": "hybrid", "dim": 8}, {"row_wise": 10}),
    ],
    ids=["gated", "pmf", "row by row"],
)
def test_what_was_killed_goes_on_to_the_same_weights(
    model: dict[str, Any], training: dict[str, Any], at: int, tmp_path: Path
) -> None:
    path = config(tmp_path, model, **training)
    done("train", path, "--out", tmp_path / "undisturbed")
    killed(tmp_path, at)
    assert not (tmp_path / "checkpoint").exists()
    done("train", path, "--out", tmp_path / "checkpoint", "--resume")
    assert (tmp_path / "checkpoint" / WEIGHTS).read_bytes() == (tmp_path / "undisturbed" / WEIGHTS).read_bytes()
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize("at", [5, *(pytest.param(at, marks=pytest.mark.long) for at in (4, 8, 9))])
def test_a_second_model_without_time_goes_on_too(at: int, shop: Path, tmp_path: Path) -> None:
    sections = yaml.safe_load((shop / "config.yaml").read_text())
    training = {"epochs": 3, "patience": 3, "timeless": 0.5}
    for section in ("interactions", "items", "users"):
        sections["data"][section]["path"] = str(shop / sections["data"][section]["path"])
    path = config_file(tmp_path, **{**sections, "model": {"name": "gated", "dim": 4}, "training": training})
    done("train", path, "--out", tmp_path / "undisturbed")
    killed(tmp_path, at)
    done("train", path, "--out", tmp_path / "checkpoint", "--resume")
    for name in (WEIGHTS, "spec.json"):
        assert (tmp_path / "checkpoint" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert json.loads((tmp_path / "checkpoint" / "spec.json").read_text())["timeless"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("model", [{"name": "als", "factors": 4}, {"name": "bpr", "dim": 4}], ids=["als", "bpr"])
def test_what_learns_without_batches_goes_on_too(model: dict[str, Any], tmp_path: Path) -> None:
    path = config(tmp_path, model)
    done("train", path, "--out", tmp_path / "undisturbed")
    killed(tmp_path, 3, model["name"], f"{model['name'].title()}Run")
    done("train", path, "--out", tmp_path / "checkpoint", "--resume")
    assert (tmp_path / "checkpoint" / WEIGHTS).read_bytes() == (tmp_path / "undisturbed" / WEIGHTS).read_bytes()


@pytest.mark.slow
def test_other_settings_are_another_training(tmp_path: Path) -> None:
    path = config(tmp_path, {"name": "pmf", "dim": 4})
    killed(tmp_path, 3)
    before = contents(tmp_path)
    code, _, err = command("-q", "train", path, "--out", tmp_path / "checkpoint", "--resume", "--set", "model.dim=5")
    assert (code, "is a training on other data or with other settings" in err) == (2, True)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    path = config(tmp_path, {"name": "pmf", "dim": 4})
    killed(tmp_path, 3)
    done("train", path, "--out", tmp_path / "checkpoint")
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def test_there_may_be_nothing_to_resume(tmp_path: Path) -> None:
    done("train", config(tmp_path, {"name": "popular"}), "--out", tmp_path / "checkpoint", "--resume")
    assert (tmp_path / "checkpoint" / WEIGHTS).exists()


@pytest.mark.slow
def test_damaged_progress_is_named(tmp_path: Path) -> None:
    path = config(tmp_path, {"name": "pmf", "dim": 4})
    killed(tmp_path, 3)
    (tmp_path / ".checkpoint.training" / "search" / "state.safetensors").write_bytes(b"")
    code, _, err = command("-q", "train", path, "--out", tmp_path / "checkpoint", "--resume")
    assert (code, err.endswith("is damaged, so training cannot go on; train without --resume\n")) == (65, True)


def test_what_another_process_is_training_is_left_to_it(tmp_path: Path) -> None:
    path = config(tmp_path, {"name": "pmf", "dim": 4})
    killed(tmp_path, 3)
    lock = tmp_path / ".checkpoint.training" / "lock"
    with locked(lock):
        before = contents(tmp_path)
        for more in ((), ("--resume",), ("--dry-run",)):
            code, _, err = command("-q", "train", path, "--out", tmp_path / "checkpoint", *more)
            said = f"Error: another run is at work in {lock.parent}; try again when it has ended\n"
            assert (code, err) == (75, said)
        assert contents(tmp_path) == before
    done("train", path, "--out", tmp_path / "checkpoint", "--resume")


def test_two_who_train_the_same_checkpoint_never_share_its_journal(tmp_path: Path) -> None:
    with kept(tmp_path / "c", {"mine": 1}, resume=False) as journal:
        journal.save("search", Progress([], 0, {}, {}, {}, {}))
        for facts in ({"mine": 1}, {"theirs": 2}):
            with pytest.raises(BusyError), kept(tmp_path / "c", facts, resume=False):
                pass
        assert journal.load("search") is not None
    assert not list(tmp_path.iterdir())


def test_a_lock_whose_folder_is_gone_is_held_by_somebody(tmp_path: Path) -> None:
    with pytest.raises(BusyError), locked(tmp_path / "gone" / "lock"):
        pass


def test_what_an_unfinished_training_left_is_thrown_away_whole(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), kept(tmp_path / "c", {}, resume=False) as journal:
        journal.save("search", Progress([], 0, {}, {}, {}, {}))
        raise KeyboardInterrupt
    with kept(tmp_path / "c", {}, resume=False) as journal:
        assert journal.load("search") is None


@pytest.mark.parametrize(("resume", "how"), [(False, "the same command with --resume"), (True, "the same command")])
def test_who_interrupts_a_training_is_told_how_it_goes_on(
    resume: bool, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for saved in ([], [Progress([], 0, {}, {}, {}, {})]):
        with suppress(KeyboardInterrupt), kept(tmp_path / "c", {}, resume) as journal:
            for progress in saved:
                journal.save("search", progress)
            raise KeyboardInterrupt
    told = [line for line in caplog.messages if "goes on" in line]
    assert told == [f"{how} goes on after the last epoch that was saved"]  # once: before that nothing was saved


def test_what_has_ended_already_is_not_trained_again(tmp_path: Path) -> None:
    path, out = config(tmp_path, {"name": "pmf", "dim": 2}, epochs=1), tmp_path / "checkpoint"
    first = command("train", path, "--out", out, "--resume")
    before = contents(out)
    again = command("train", path, "--out", out, "--resume")
    assert (first.code, again.code, again.out, contents(out)) == (0, 0, first.out, before)
    assert "is trained already, with this configuration and on these files" in again.err
    fields = yaml.safe_load((out / "config.yaml").read_text())
    del fields["data"]["interactions"]["bad_rows"]  # as a version that did not know of it has left it
    (out / "config.yaml").write_text(yaml.safe_dump(fields))
    before = contents(out)
    assert command("train", path, "--out", out, "--resume").code == 0
    assert command("train", path, "--out", out).code == 73  # as nobody asked for what is there
    other = command("train", path, "--out", out, "--resume", "--set", "training.seed=8")
    assert (other.code, "with another configuration" in other.err) == (73, True)
    write_table(tmp_path / "log.parquet", user_id=[1, 1, 2], item_id=[1, 2, 1], time=[1_600_000_000] * 3)
    other = command("train", path, "--out", out, "--resume")
    assert (other.code, "on other files" in other.err, contents(out)) == (73, True, before)
