"""A full disk leaves nothing behind."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bad_input.conftest import error, train
from tests.conftest import Refusal, refusal


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system that is full after some kilobytes. Skips where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount the tiny disk that this test fills")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def full(path: str) -> Refusal:
    """The answer of a disk that is full."""
    return error(
        74, f"the disk is full while writing DIR/{path} (N bytes free); free some space and run the same command again"
    )


def counted(answer: Refusal) -> Refusal:
    """The answer with N for the bytes that are free: whether a last page is, is the system's affair."""
    return answer._replace(err=re.sub(r"[\d,]+ bytes", "N bytes", answer.err))


@pytest.mark.parametrize("kilobytes", [4, 24, 32])
def test_a_disk_that_is_full_while_training(kilobytes: int, place: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        answer = refusal(disk, "train", place / "config.yaml", "--out", disk / "new", "--set", "model.name=pmf")
    assert counted(answer) == full("new")


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [16, 200])
def test_a_disk_that_is_full_while_exporting(kilobytes: int, trained: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        answer = refusal(disk, "export", trained, "--out", disk / "new")
    assert counted(answer) == full("new")


@pytest.mark.parametrize("kilobytes", [16, 20])
def test_a_disk_that_is_full_while_scoring(kilobytes: int, shop: Path, exported: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        where = "--out", disk / "recs", "--run-date", "2026-10-31"
        answer = refusal(disk, "score", exported, "--interactions", shop / "interactions.parquet", *where)
    assert counted(answer) == full("recs/run_date=2026-10-31")


def test_a_disk_that_is_full_without_a_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuses)
    assert counted(train(place)) == full("checkpoint")
