"""Killed at any moment, a command leaves readers the old run or the new one, and ends well when it is repeated."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import contents
from tests.faults.conftest import Tell
from tests.faults.experiments import Scene, Tally, at, killed_after, killed_at, left_over, scenes
from tests.faults.killing import Forge

SLOW = ["first publish", "re-publish"]  # every kill is followed by a scoring


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    """A server that makes three parts of the shop's users."""
    with Forge(users_per_part=100) as server:
        yield server


@pytest.fixture(scope="module")
def all_scenes(forge: Forge, exported: Path, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """What each command does when nothing happens."""
    folder = tmp_path_factory.mktemp("scenes")
    return {scene.name: scene for scene in scenes(forge, folder, exported, shop / "interactions.parquet")}


def told(tally: Tally, tell: Tell) -> list[str]:
    """What went wrong, which the table says too."""
    tell(tally.name, f"{tally.tried} ({tally.landed} kills)", f"{len(tally.bad)} wrong")
    return tally.bad


@pytest.mark.parametrize("name", ["rollback", "withdrawal", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_killed_before_every_change(
    name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    scene = all_scenes[name]
    tally = killed_at(forge, scene, tmp_path, [(n,) for n in range(1, scene.changes + 1)])
    assert (told(tally, tell), tally.landed) == ([], scene.changes)


def test_killed_around_the_commit(forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path) -> None:
    scene = all_scenes["re-publish"]
    tally = killed_at(forge, scene, tmp_path, [(scene.changes - back,) for back in (2, 5)])
    assert (tally.bad, tally.landed) == ([], 2)


@pytest.mark.long
@pytest.mark.parametrize("name", ["rollback", "withdrawal"])
def test_killed_twice(name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell) -> None:
    scene = all_scenes[name]
    every = range(1, scene.changes + 1)
    tally = killed_at(forge, scene, tmp_path, [(one, other) for one in every for other in every])
    assert told(tally._replace(name=tally.name.replace("killed", "killed twice")), tell) == []


@pytest.mark.parametrize("times", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_of_several_at_once_one_publishes_and_the_others_are_told(
    times: int, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    scene = all_scenes["first publish"]
    codes = [one.code for one in forge.race(times, *at(scene.argv, tmp_path))]
    tell(
        f"{times} runs at once", str(times), f"{codes.count(0)} published or found it published, {codes.count(75)} busy"
    )
    assert (set(codes) <= {0, 75}, 0 in codes) == (True, True)
    assert contents(tmp_path / "recs") == scene.after
    assert left_over(tmp_path) == []


@pytest.mark.long
def test_killed_after_random_times(forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell) -> None:
    tally = killed_after(forge, all_scenes["re-publish"], tmp_path, 12, 1.5)
    assert (told(tally, tell), tally.landed > 0) == ([], True)
