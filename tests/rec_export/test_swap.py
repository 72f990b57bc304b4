"""Folders are put in place or exchanged in one step, and never over something."""

import errno
from pathlib import Path

import pytest

from rec_export import swap
from rec_export.errors import EnvironmentMissingError
from tests.conftest import contents


def folder(path: Path, text: str) -> Path:
    """A folder with one file."""
    path.mkdir()
    (path / "file").write_text(text)
    return path


def cannot(*anything: object) -> None:
    """A filesystem, or a C library, that does not know renameat2."""
    raise OSError(errno.EINVAL, "Invalid argument")


@pytest.mark.parametrize("known", [True, False])
def test_a_folder_is_put_where_nothing_is(known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known:
        monkeypatch.setattr(swap, "renameat2", cannot)
    swap.place(folder(tmp_path / "a", "a"), tmp_path / "b")
    assert contents(tmp_path) == {"b": None, "b/file": b"a"}


@pytest.mark.parametrize("known", [True, False])
def test_a_folder_is_never_put_over_something(known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known:
        monkeypatch.setattr(swap, "renameat2", cannot)
    one, other = folder(tmp_path / "a", "a"), folder(tmp_path / "b", "b")
    with pytest.raises(OSError, match=r"File exists|Directory not empty"):
        swap.place(one, other)
    assert contents(tmp_path) == {"a": None, "a/file": b"a", "b": None, "b/file": b"b"}


def test_two_folders_take_each_others_place(tmp_path: Path) -> None:
    swap.exchange(folder(tmp_path / "a", "a"), folder(tmp_path / "b", "b"))
    assert contents(tmp_path) == {"a": None, "a/file": b"b", "b": None, "b/file": b"a"}


def test_where_that_cannot_be_it_is_said_and_nothing_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "renameat2", cannot)
    one, other = folder(tmp_path / "a", "a"), folder(tmp_path / "b", "b")
    with pytest.raises(EnvironmentMissingError, match="cannot exchange two folders at once"):
        swap.exchange(one, other)
    assert contents(tmp_path) == {"a": None, "a/file": b"a", "b": None, "b/file": b"b"}


def test_what_is_missing_stays_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        swap.exchange(tmp_path / "a", tmp_path / "b")
