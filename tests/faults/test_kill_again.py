"""Killed again and again, whenever that may be, a command does no more harm than killed once."""

from pathlib import Path

import pytest

from tests.conftest import Tell
from tests.faults.experiments import Scene, killed_again_and_again, left_by_copies, left_by_kills
from tests.faults.killing import Forge
from tests.faults.test_kill import SCENES, all_scenes, forge, told

__all__ = ["all_scenes", "forge"]


@pytest.mark.long
@pytest.mark.parametrize("name", SCENES)
def test_killed_again_and_again(
    name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    kills = left_by_kills(forge, all_scenes[name], tmp_path)
    assert kills == left_by_copies(forge, all_scenes[name], tmp_path)
    states, landed, bad = killed_again_and_again(forge, all_scenes[name], tmp_path)
    what = f"{name}, killed before every change from each state of the files that kills leave: all pairs, all series"
    told(tell, what, f"{landed} kills by copies of the files, {states} states", bad)
    assert (bad, states > 1) == ([], True)
