"""Killed at any moment, a command leaves readers the old run or the new one, and ends well when it is repeated."""

from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest

from rec_export.errors import BusyError
from tests.conftest import Tell, contents
from tests.faults.experiments import (
    Scene,
    at,
    killed_midway,
    left_over,
    scenes,
    signalled_at,
    stopped_at,
)
from tests.faults.killing import Forge

LONG = pytest.mark.long
SCENES = ["first publish", "repair", "re-publish", "rollback", "withdrawal"]


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


def told(tell: Tell, what: str, tried: str, bad: list[str]) -> list[str]:
    """What went wrong, which the table says too."""
    tell(what, tried, f"{len(bad)} wrong")
    return bad


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=LONG if name in ("repair", "re-publish") else ()) for name in SCENES]
)
def test_killed_before_every_change(
    name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    scene = all_scenes[name]
    tried, landed, bad = signalled_at(forge, scene, tmp_path, range(1, scene.changes + 1))
    told(tell, f"{name}, killed before its n-th change to the files, for every n", f"{landed} kills", bad)
    assert (bad, landed) == ([], tried)


@pytest.mark.long
@pytest.mark.parametrize("name", ["first publish", "re-publish"])
def test_killed_midway_after_random_times(
    name: str, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    tried, landed, bad = killed_midway(forge, all_scenes[name], tmp_path, 200)
    what = f"{name}, killed after random times until it ends; kills after its first change to the files"
    assert told(tell, what, f"{landed} kills, {tried} runs", bad) == []


@pytest.mark.long
@pytest.mark.parametrize("sent", [SIGTERM, SIGINT, SIGHUP])
def test_told_to_end_before_every_change(
    sent: Signals, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    scene = all_scenes["re-publish"]
    tried, landed, bad = signalled_at(forge, scene, tmp_path, range(1, scene.changes + 1), sent)
    told(tell, f"re-publish, {sent.name} before its n-th change, for every n", f"{tried} signals, {landed} heeded", bad)
    assert (bad, landed > 0) == ([], True)


@pytest.mark.long
def test_stopped_while_another_tries(forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell) -> None:
    tried, busy, bad = stopped_at(forge, all_scenes["re-publish"], tmp_path)
    what = "re-publish, stopped before its n-th change while another like it tries, then let go on, for every n"
    told(tell, what, f"{tried} stops, {busy} found it busy", bad)
    assert (bad, busy > tried // 2) == ([], True)


@pytest.mark.parametrize(
    ("times", "rounds"), [pytest.param(3, 1, marks=pytest.mark.brief), pytest.param(10, 20, marks=pytest.mark.long)]
)
def test_of_several_at_once_one_publishes_and_the_others_are_told(
    times: int, rounds: int, forge: Forge, all_scenes: dict[str, Scene], tmp_path: Path, tell: Tell
) -> None:
    scene, bad, busy = all_scenes["first publish"], list[str](), 0
    for number in range(rounds):
        here = tmp_path / str(number)
        codes = [one.code for one in forge.race(times, *at(scene.argv, here))]
        busy += codes.count(BusyError.exit_code)
        if not set(codes) <= {0, BusyError.exit_code} or 0 not in codes or contents(here / "recs") != scene.after:
            bad.append(f"they ended with {codes}")
        bad += left_over(here)
    what = f"{times} runs at once; one publishes, the others are told that it is busy, or done"
    assert told(tell, what, f"{rounds} times, {busy} busy", bad) == []
