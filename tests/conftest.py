"""The command line in process, and a tiny made-up shop with what the four verbs make of it, each once."""

import os

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # before torch: threads that spin would make these tests ten times as slow

import fcntl
import io
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import settings

from rec_export.checkpoint import Blueprint
from rec_export.cli import run
from rec_export.data.sample import write_sample
from rec_export.habit import Habit

settings.register_profile("rec-export", derandomize=True, deadline=None)
settings.load_profile("rec-export")

LAST_DAY = "2026-10-31"  # of the made-up shop's log
Tell = Callable[[str, str, str], None]


class Answer(NamedTuple):
    """What a command line said."""

    code: int
    out: str
    err: str


def command(*arguments: object) -> Answer:
    """Run `rec-export ARGUMENTS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Answer(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> str:
    """What a command line that must succeed wrote to stdout."""
    code, out, err = command("-q", *arguments)
    assert (code, err) == (0, "")
    return out


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, hidden or not: the bytes of files, None for folders."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


class Refusal(NamedTuple):
    """How a command line was refused."""

    code: int
    err: str
    changed: list[str]  # what is below the folder now and was not, or the other way round


def refusal(folder: Path, *arguments: object) -> Refusal:
    """Run a command line that should fail and leave `folder` as it is. The folder's name is DIR in the sentence."""
    before = contents(folder)
    code, _, err = command("-q", *arguments)
    after = contents(folder)
    changed = sorted(name for name in {**before, **after} if before.get(name, b"-") != after.get(name, b"-"))
    return Refusal(code, err.replace(str(folder), "DIR"), changed)


def config_file(folder: Path, name: str = "config.yaml", **sections: Any) -> Path:
    """A configuration in `folder`."""
    path = folder / name
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return path


def write_table(path: Path, **columns: Any) -> Path:
    """A Parquet file."""
    pq.write_table(pa.table(columns), path)
    return path


def read_lists(recs: Path) -> pa.Table:
    """The rows below a read root, in the order of the files."""
    parts = sorted(recs.rglob("*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts])


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Tell docs/reliability.md an experiment, how often it was tried, and what came of it."""
    return lambda *row: record_property("table", row)


def set_habit(checkpoint: Path, habit: Habit | None) -> None:
    """Give a checkpoint a term for what users liked before, or none."""
    path = checkpoint / "spec.json"
    Blueprint.read(path).model_copy(update={"habit": habit}).write(path)


def shared(factory: pytest.TempPathFactory, place: str, make: Callable[[Path], object]) -> Path:
    """What `make` leaves at a place; of the workers of pytest-xdist the first to ask makes it, for all of them."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    path = root / "shared" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    with (root / f"{place.replace('/', '.')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            make(path)
    return path


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Log, items, users and config of a made-up shop. No test may change it."""
    sizes = {"users": 200, "items": 120, "days": 120}
    return shared(tmp_path_factory, "sample/shop", lambda out: write_sample(out, seed=7, **sizes))


@pytest.fixture(scope="session")
def trained(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hybrid that learned from all rows of the shop for one epoch. No test may change it."""
    changes = "data.split.by=none", "training.epochs=1", "training.refit=false", "model.dim=8"
    words = "train", shop / "config.yaml", *(word for change in changes for word in ("--set", change))
    return shared(tmp_path_factory, "trained/checkpoint", lambda out: done(*words, "--out", out))


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `trained`, in all formats but aoti. No test may change it."""
    return shared(tmp_path_factory, "exported/bundle", lambda out: done("export", trained, "--out", out))


@pytest.fixture
def bundle_copy(exported: Path, tmp_path: Path) -> Path:
    """A bundle to be tampered with."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def scored(shop: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The read root of a run for everybody in the shop's log, 10 items each. No test may change it."""
    out = tmp_path_factory.mktemp("scored") / "recs"
    log = shop / "interactions.parquet"
    done("score", exported, "--interactions", log, "--out", out, "--k", 10, "--run-date", LAST_DAY)
    return out


@pytest.fixture
def shop_copy(shop: Path, tmp_path: Path) -> Path:
    """A shop to be changed."""
    return Path(shutil.copytree(shop, tmp_path / "shop"))
