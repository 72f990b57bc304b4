"""What one executor began and was killed at, another finishes, to the bytes of an undisturbed run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LAST_DAY, Tell, contents
from tests.faults.experiments import KILLED, left_over
from tests.faults.killing import ROOT, Forge

SOME = [6, 15]  # changes to the files before which CI kills
SHARE = "--shard-index", 0, "--shard-count", 1
USERS_PER_PART = 60
Contents = dict[str, bytes | None]


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    """A server that makes four parts of the shop's users."""
    with Forge(USERS_PER_PART) as server:
        yield server


def words(bundle: Path, shop: Path, folder: Path) -> list[object]:
    """What all commands have in common."""
    log = shop / "interactions.parquet"
    return [bundle, "--interactions", log, "--out", folder / "recs", "--run-date", LAST_DAY, "--k", 5]


def ends(forge: Forge, *arguments: object) -> None:
    """A command that must succeed."""
    done = forge.run("-q", *arguments)
    assert done.code == 0, done.said


@pytest.fixture(scope="module")
def whole(forge: Forge, exported: Path, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What an undisturbed run publishes."""
    folder = tmp_path_factory.mktemp("whole")
    forge.warm("-q", "score", *words(exported, shop, folder / "warm"))
    ends(forge, "score", *words(exported, shop, folder))
    return contents(folder / "recs")


@pytest.mark.parametrize(
    "kills",
    [pytest.param(SOME, marks=pytest.mark.brief), pytest.param(range(1, 60), marks=pytest.mark.long)],
    ids=["some", "all"],
)
@pytest.mark.parametrize("begun", ["a shard", "the local executor"])
def test_killed_in_one_executor_and_finished_by_another(
    begun: str, kills: list[int], forge: Forge, whole: Contents, exported: Path, shop: Path,
    tmp_path: Path, tell: Tell,
) -> None:  # fmt: skip
    bad, landed = [], 0
    for kill in kills:
        asked = words(exported, shop, tmp_path / str(kill))
        code = forge.run("-q", "score", *asked, *(SHARE if begun == "a shard" else ()), at=kill).code
        if code != KILLED:
            break
        landed += 1
        if begun != "a shard":
            ends(forge, "score", *asked, *SHARE)
        ends(forge, "publish" if begun != "a shard" else "score", *asked)
        if contents(tmp_path / str(kill) / "recs") != whole or left_over(tmp_path / str(kill)):
            bad.append(kill)
    other = "the local executor" if begun == "a shard" else "a shard and `publish`"
    tell(f"killed in {begun}, finished by {other}", f"{landed} kills", f"{len(bad)} wrong")
    assert (bad, landed >= len(SOME)) == ([], True)


def test_the_same_shard_several_times_at_once(
    forge: Forge, whole: Contents, exported: Path, shop: Path, tmp_path: Path, tell: Tell
) -> None:
    asked = words(exported, shop, tmp_path)
    codes = [one.code for one in forge.race(4, "-q", "score", *asked, *SHARE)]
    ends(forge, "publish", *asked)
    tell("one shard 4 times at once, then published", "4", f"{codes.count(0)} ended well, the bytes are the same")
    assert (codes, contents(tmp_path / "recs") == whole, left_over(tmp_path)) == ([0] * 4, True, [])


BEGUN = f"""
import batch_jobs.parts
from rec_export.cli import main
if __name__ == "__main__":
    batch_jobs.parts.USERS_PER_PART = {USERS_PER_PART}
    main()
"""


@pytest.mark.long
def test_processes_end_with_the_one_that_is_killed_and_the_run_is_finished_by_it_alone(
    forge: Forge, whole: Contents, exported: Path, shop: Path, tmp_path: Path, tell: Tell
) -> None:
    asked = words(exported, shop, tmp_path)
    script = tmp_path / "begun.py"
    script.write_text(BEGUN)
    argv = [sys.executable, script, "-q", "score", *asked, "--device", "cpu", "--executor", "processes", "--workers", 2]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*map(str, argv)], env=environment) as first:
        while not list(tmp_path.rglob("done/part-*.json")):
            assert first.poll() is None
            time.sleep(0.01)
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        first.send_signal(signal.SIGKILL)
    until = time.monotonic() + 30
    while any(Path(f"/proc/{child}/cwd").exists() for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert [child for child in children if Path(f"/proc/{child}/cwd").exists()] == []
    ends(forge, "score", *asked)
    assert (contents(tmp_path / "recs") == whole, left_over(tmp_path)) == (True, [])
    tell("two processes whose parent is killed", "1", "they end too, and the run is finished to the same bytes")
