"""When the power goes at any moment, readers find the old run or the new one, and what was said to be done is done."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Tell, contents
from tests.faults.experiments import Scene, at, left_over, wrongs
from tests.faults.killing import Forge
from tests.faults.power import WAYS, Recording, recorded, written
from tests.faults.test_kill import all_scenes, forge

__all__ = ["all_scenes", "forge"]
USERS_PER_PART = 100  # as the forge has it
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")


@pytest.mark.long
@needs_strace
@pytest.mark.parametrize("name", ["first publish", "re-publish", "rollback", "withdrawal"])
def test_the_power_goes_after_every_change(
    name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    scene = all_scenes[name]
    place = Path(shutil.copytree(scene.before, tmp_path / "place"))
    code, recording = recorded(place, USERS_PER_PART, at(scene.argv, place), tmp_path / "strace")
    assert (code, contents(place / "recs")) == (0, scene.after)
    assert recording.left(len(recording.events), "early").keys() == contents(place).keys()  # the model is the disk
    bad, tried = [], 0
    for cut, way, tree in recording.cuts():
        tried += 1
        here = written(tree, tmp_path / "here")
        found = [f"readers find {wrong}" for wrong in wrongs(scene, here)]
        if cut == len(recording.events) and contents(here / "recs") != scene.after:
            found.append("what the command said to be done is lost")
        ended = forge.run(*at(scene.argv, here))
        if (ended.code, contents(here / "recs")) != (0, scene.after):
            found.append(f"the next run ends with {ended.code} {ended.said}")
        bad += [f"{name}, after {cut} of {len(recording.events)}, {way}: {what}" for what in [*found, *left_over(here)]]
    tell(
        f"{name}, the power goes after the n-th change to the files", f"{tried} states of the disk", f"{len(bad)} wrong"
    )
    assert bad == []


def small(tmp_path: Path) -> tuple[Path, Recording]:
    """A folder with a file that is on the disk."""
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "old").write_bytes(b"old")
    return tmp_path / "place", Recording(tmp_path / "place")


def hexed(path: Path | str) -> str:
    """As strace -xx writes a text."""
    return "".join(f"\\x{byte:02x}" for byte in str(path).encode())


def play(recording: Recording, place: Path, sync_file: bool, sync_folder: bool) -> dict[str, dict[str, bytes | None]]:
    """Write a file beside the old one and rename it into its place; what is left in all ways."""
    lines = [
        f'1 openat(AT_FDCWD, "{hexed(place / "new")}", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3',
        f'1 write(3, "{hexed("new")}", 3) = 3',
        *(["1 fsync(3) = 0"] if sync_file else []),
        "1 close(3) = 0",
        f'1 rename("{hexed(place / "new")}", "{hexed(place / "old")}") = 0',
        f'1 openat(AT_FDCWD, "{hexed(place)}", O_RDONLY|O_CLOEXEC) = 3',
        *(["1 fsync(3) = 0"] if sync_folder else []),
    ]
    for line in lines:
        recording.read(line)
    return {way: recording.left(len(recording.events), way) for way in WAYS}


@pytest.mark.parametrize(
    ("sync_file", "sync_folder", "late", "early", "torn"),
    [
        (False, False, b"old", b"", b"n"),
        (True, False, b"old", b"new", b"new"),
        (False, True, b"", b"", b"n"),
        (True, True, b"new", b"new", b"new"),
    ],
)
def test_the_model_of_a_disk_loses_what_was_not_synced(
    sync_file: bool, sync_folder: bool, late: bytes, early: bytes, torn: bytes, tmp_path: Path
) -> None:
    place, recording = small(tmp_path)
    left = {"late": {"old": late}, "early": {"old": early}, "torn": {"old": torn}}
    assert play(recording, place, sync_file, sync_folder) == left
