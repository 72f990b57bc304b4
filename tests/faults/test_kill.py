"""Killed at any moment, a command leaves readers the old run or the new one, and ends well when it is repeated."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.experiments import Scene, killed_after, killed_at, scenes
from tests.faults.killing import Forge

NAMES = ["first publish", "re-publish", "rollback", "withdrawal"]


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    """A server that makes three parts of the shop's users."""
    with Forge(users_per_part=100) as server:
        yield server


@pytest.fixture(scope="module")
def all_scenes(
    forge: Forge, exported: Path, shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Scene]:
    """What each command does when nothing happens."""
    folder = tmp_path_factory.mktemp("scenes")
    return {scene.name: scene for scene in scenes(forge, folder, exported, shop / "interactions.parquet")}


@pytest.mark.parametrize("name", ["rollback", "withdrawal"])
def test_killed_at_every_change(name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path) -> None:
    scene = all_scenes[name]
    tally = killed_at(forge, scene, tmp_path, [(n,) for n in range(1, scene.changes + 1)])
    assert (tally.bad, tally.landed) == ([], scene.changes)


@pytest.mark.parametrize("name", ["first publish", "re-publish"])
def test_killed_at_the_last_changes(name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path) -> None:
    scene = all_scenes[name]
    tally = killed_at(forge, scene, tmp_path, [(n,) for n in range(scene.changes - 11, scene.changes + 1)])
    assert (tally.bad, tally.landed) == ([], 12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["first publish", "re-publish"])
def test_killed_at_every_change_of_scoring_too(
    name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path
) -> None:
    scene = all_scenes[name]
    tally = killed_at(forge, scene, tmp_path, [(n,) for n in range(1, scene.changes + 1)])
    assert (tally.bad, tally.landed) == ([], scene.changes)


@pytest.mark.slow
def test_killed_after_random_times(forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path) -> None:
    tally = killed_after(forge, all_scenes["re-publish"], tmp_path, 10, 1.0)
    assert tally.bad == []
    assert tally.landed > 0
