"""A directory appears whole or not at all."""

import errno
import fcntl
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.errors import BusyError, OutputExistsError, StorageError
from rec_export.files import (
    absent,
    files_below,
    is_locked,
    locked,
    new_directory,
    sha256,
    storage_error,
    sweep,
    write_whole,
)
from tests.conftest import contents


def test_a_directory_appears_with_all_that_was_written(tmp_path: Path) -> None:
    with new_directory(tmp_path / "a" / "b" / "out") as out:
        (out / "inside").mkdir()
        (out / "inside" / "file").write_text("x")
        assert not (tmp_path / "a" / "b" / "out").exists()
    assert contents(tmp_path / "a" / "b") == {"out": None, "out/inside": None, "out/inside/file": b"x"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_when_the_block_fails(error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error), new_directory(tmp_path / "out") as out:  # noqa: PT012 it is the block that fails
        (out / "file").write_text("x")
        raise error
    assert contents(tmp_path) == {}


def test_what_a_killed_process_left_is_removed_and_what_others_are_at_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".out.abc.unfinished"
    (left / "inside").mkdir(parents=True)
    with new_directory(tmp_path / "out") as first, new_directory(tmp_path / "out.too"):
        assert not left.exists()
        (first / "file").touch()
        sweep(tmp_path / "out")
        assert (first / "file").exists()
    assert sorted(contents(tmp_path)) == ["out", "out.too", "out/file"]


@pytest.mark.parametrize("kind", ["file", "folder", "broken link"])
def test_what_is_there_is_refused_and_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    if kind == "file":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    with pytest.raises(OutputExistsError, match=r"out already exists; name a new directory or remove it first$"):
        new_directory(path).__enter__()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_what_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError), new_directory(tmp_path / "out") as out:  # noqa: PT012 its end fails
        (out / "file").write_text("mine")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "file").write_text("theirs")
    assert contents(tmp_path) == {"out": None, "out/file": b"theirs"}


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with new_directory(tmp_path / "out") as out:
            (out / "in").mkdir()
            (out / "in" / "private").touch(0o600)  # as safetensors writes
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").parent.rglob("*")}
    assert modes == {"out": 0o750, "in": 0o750, "private": 0o640}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_with_what_is_free(number: int, tmp_path: Path) -> None:
    with (
        pytest.raises(
            StorageError, match=r"^the disk is full while writing .*out \([\d,]+ bytes free\); free some space"
        ),
        new_directory(tmp_path / "out"),
    ):
        raise OSError(number, os.strerror(number))
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("filename", "told"), [(None, "/x"), ("/read/spec.json", "/read/spec.json"), ("/.x.abc.unfinished/y", "/x")]
)
def test_another_refusal_is_said_with_its_reason_and_the_file_that_a_person_knows(
    filename: str | None, told: str
) -> None:
    error = storage_error("/x", PermissionError(errno.EACCES, "Permission denied", filename))
    assert (error.exit_code, str(error)) == (
        74, f"cannot read or write {told}: permission denied; check that it is there, and who may use it",
    )  # fmt: skip


@given(content=st.binary(max_size=100))
def test_the_hash_is_that_of_the_bytes(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()


def test_files_are_listed_in_one_order_without_folders(tmp_path: Path) -> None:
    for name in ("b/z", "b/a", ".hidden", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in files_below(tmp_path)] == [".hidden", "b/a", "b/z", "c"]


def test_a_text_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_whole(tmp_path / "file", "old")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    write_whole(tmp_path / "file", "new")
    assert contents(tmp_path) == {"file": b"new"}


def test_a_lock_has_one_holder_and_comes_back(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(BusyError), locked(tmp_path / "lock"):
        pass
    with locked(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("shared", [True, False])
def test_who_looks_at_a_lock_is_told_and_holds_nobody_up(shared: bool, tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    with locked(tmp_path / "lock", shared=shared):
        assert is_locked(tmp_path / "lock")
        assert is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")


def test_a_lock_file_that_its_holder_removed_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flock = tmp_path / "lock", fcntl.flock

    def late(handle: int, how: int) -> None:
        flock(handle, how)
        path.unlink()

    monkeypatch.setattr("fcntl.flock", late)
    with pytest.raises(BusyError), locked(path):
        pass


def test_a_missing_path_is_told_of_where_its_folder_must_not_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert str(absent(tmp_path / "log.parquet", "name a file")) == (
        f"{tmp_path / 'log.parquet'} does not exist; name a file"
    )


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("interactions.parquet", "name a file"),  # nearly all of the other name is its ending
        ("item.parquet", "did you mean 'items.parquet'?"),
        ("items.csv", "did you mean 'items.parquet'?"),
        ("rec", "did you mean 'recs'?"),
        ("work", "name a file"),  # and not work.control
    ],
)
def test_what_is_nearly_of_the_name_is_offered(asked: str, near: str, tmp_path: Path) -> None:
    (tmp_path / "items.parquet").touch()
    for folder in ("recs", "work.control"):
        (tmp_path / folder).mkdir()
    assert str(absent(tmp_path / asked, "name a file")) == f"{tmp_path / asked} does not exist; {near}"


def test_a_file_where_a_folder_is_wanted_is_not_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "recs").write_text("")
    assert (
        str(absent(tmp_path / "recs", "name a read root"))
        == f"{tmp_path / 'recs'} is a file, not a folder; name a read root"
    )
