"""What is published is read by those who may, and made where nobody else can change it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, configured, night
from tests.conftest import LAST_DAY, Answer, command


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Files are made with this mask in the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def score(exported: Path, shop: Path, out: Path, *more: object) -> Answer:
    """Publish."""
    log = shop / "interactions.parquet"
    return command(
        "-q", "score", exported, "--interactions", log, "--out", out, "--k", 3, "--run-date", LAST_DAY, *more
    )


def modes(root: Path) -> dict[str, str]:
    """The modes below a folder, with run ids left out."""
    return {path.suffix or path.name: oct(path.stat().st_mode & 0o777) for path in (root, *root.rglob("*"))}


DATE = f"run_date={LAST_DAY}"


@pytest.mark.parametrize(
    ("mask", "root", "folder", "file"),
    [
        (0o022, None, "0o750", "0o640"),
        (0o077, None, "0o700", "0o600"),
        (0o022, 0o755, "0o755", "0o644"),
        (0, 0o700, "0o700", "0o600"),
    ],
)
def test_a_run_is_readable_for_whom_its_root_is_and_a_new_root_for_the_group(
    mask: int, root: int | None, folder: str, file: str, exported: Path, shop: Path, tmp_path: Path
) -> None:
    recs = tmp_path / "recs"
    with umask(mask):
        if root is not None:
            recs.mkdir()
            recs.chmod(root)
        assert score(exported, shop, recs).code == 0
    assert modes(recs) == {"recs": folder, DATE: folder, ".parquet": file, "_SUCCESS": file}
    assert oct(recs.with_name("recs.control").stat().st_mode & 0o027) == "0o0" if mask == 0o077 else "0o20"


@pytest.mark.parametrize("whose", ["recs", "recs.control", "."])
def test_where_everybody_may_write_nothing_is_published_unless_asked(
    whose: str, exported: Path, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "place" / whose).mkdir(parents=True, exist_ok=True)
    (tmp_path / "place" / whose).chmod(0o777)
    answer = score(exported, shop, tmp_path / "place" / "recs")
    assert (answer.code, answer.err.startswith(f"Error: everybody may write to {tmp_path}/place")) == (78, True)
    assert not list((tmp_path / "place").rglob("*.parquet"))
    assert score(exported, shop, tmp_path / "place" / "recs", "--allow-world-writable").code == 0


def test_a_folder_like_tmp_is_fit_for_what_is_our_own(exported: Path, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert score(exported, shop, tmp_path / "tmp" / "recs").code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_in_one_like_tmp_that_another_user_made_is_refused(exported: Path, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp" / "recs").mkdir(parents=True)
    (tmp_path / "tmp").chmod(0o1777)
    os.chown(tmp_path / "tmp" / "recs", 12345, 12345)
    answer = score(exported, shop, tmp_path / "tmp" / "recs")
    assert (answer.code, "belongs to another user" in answer.err) == (78, True)


def test_the_configuration_can_allow_it_too(place: Path, exported: Path) -> None:
    place.chmod(0o777)
    night(place, LAST, code=78)
    configured(place, exported, allow_world_writable=True)
    night(place, LAST)
    assert Recs.at(place / "recs").dates() == [LAST]
