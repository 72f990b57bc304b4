"""Faults against the real command line, and what readers find after each. The tests run some, `make faults` all."""

import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from batch_jobs.verify import verify_run
from rec_export.errors import RecExportError
from rec_export.recs import Recs, run_in
from tests.conftest import LAST_DAY, contents
from tests.faults.killing import Forge

SIGKILL = -9


class Scene(NamedTuple):
    """A command, the files before it, and what an undisturbed run of it leaves."""

    name: str
    before: Path
    argv: list[str]  # with RECS for the read root
    after: dict[str, bytes | None]  # the read root
    changes: int


class Tally(NamedTuple):
    """What came of an experiment."""

    name: str
    tried: int
    landed: int  # kills that hit a process that was still at work
    bad: list[str]  # what should not have been


def scenes(forge: Forge, folder: Path, bundle: Path, log: Path) -> Iterator[Scene]:
    """First publish, re-publish, rollback and withdrawal; each starts where the one before ends."""
    score = ["-q", "score", str(bundle), "--interactions", str(log), "--out", "RECS", "--run-date", LAST_DAY, "--k"]
    (folder / "0").mkdir()
    steps = {
        "first publish": [*score, "5"],
        "re-publish": [*score, "6", "--replace"],
        "rollback": ["rollback", "RECS", "--run-date", LAST_DAY, "--to", "FIRST"],
        "withdrawal": ["rollback", "RECS", "--run-date", LAST_DAY, "--withdraw"],
    }
    first = ""
    for place, (name, words) in enumerate(steps.items()):
        before, now = folder / str(place), folder / str(place + 1)
        shutil.copytree(before, now)
        argv = [word.replace("FIRST", first) for word in words]
        done = forge.run(*at(argv, now))
        assert done.code == 0, done.said
        first = first or str(run_in(Recs.at(now / "recs").live(LAST_DAY)))
        yield Scene(name, before, argv, contents(now / "recs"), done.changes)


def at(argv: list[str], folder: Path) -> list[str]:
    """The command for the read root in a folder."""
    return [str(folder / "recs") if word == "RECS" else word for word in argv]


def killed_at(forge: Forge, scene: Scene, folder: Path, kills: Iterable[tuple[int, ...]]) -> Tally:
    """Kill the command before some of its changes, and once more when it is repeated, and so on; then let it end."""
    bad, tried, landed = [], 0, 0
    for kill in kills:
        tried += 1
        here = Path(shutil.copytree(scene.before, folder / "here"))
        for number in kill:
            code = forge.run(*at(scene.argv, here), kill_at=number).code
            landed += code == SIGKILL
            bad += [f"{scene.name} killed at {kill}: {wrong}" for wrong in wrongs(scene, here)]
        ended = forge.run(*at(scene.argv, here))
        if (ended.code, contents(here / "recs")) != (0, scene.after):
            bad.append(f"{scene.name} killed at {kill}: the next run ends with {ended.code} {ended.said}")
        bad += [f"{scene.name} killed at {kill}, then ended: {wrong}" for wrong in left_over(here)]
        shutil.rmtree(here)
    return Tally(f"{scene.name}, killed before its n-th change to the files", tried, landed, bad)


def killed_after(forge: Forge, scene: Scene, folder: Path, times: int, longest: float) -> Tally:
    """Kill the command after random times, ever later ones so that it ends on a slow machine too."""
    bad, landed, random_times = [], 0, random.Random(0)
    for number in range(times):
        here = Path(shutil.copytree(scene.before, folder / "here"))
        code, kills = SIGKILL, 0
        while code == SIGKILL:
            code = forge.run(*at(scene.argv, here), after=random_times.uniform(0.02, longest * 1.2**kills)).code
            kills += code == SIGKILL
            bad += [f"{scene.name}, try {number}: {wrong}" for wrong in wrongs(scene, here)]
        landed += kills
        if (code, contents(here / "recs")) != (0, scene.after):
            bad.append(f"{scene.name}, try {number}: it ends with {code}")
        shutil.rmtree(here)
    return Tally(f"{scene.name}, killed after random times until it ends", times, landed, bad)


def wrongs(scene: Scene, here: Path) -> list[str]:
    """What readers of the root must not find: anything but the old run whole, the new run whole, or nothing at all."""
    before = contents(scene.before / "recs") if (scene.before / "recs").exists() else {}
    found = contents(here / "recs") if (here / "recs").exists() else {}
    return [] if found in ({}, before, scene.after) and (found or not before or not scene.after) else [str([*found])]


def left_over(here: Path) -> list[str]:
    """What must not be there after a run that ended: unfinished work, damage, a manifest or a replaced run lost."""
    recs = Recs.at(here / "recs")
    bad = [str(path) for path in recs.control.rglob("*") if "unfinished" in path.name or path.parent.name == "work"]
    try:
        for date in recs.dates():
            verify_run(recs, date)
    except RecExportError as error:
        bad.append(str(error))
    live = {run_in(recs.live(date)) for date in recs.dates()}
    kept = {run_in(path) for path in recs.control.glob("trash/run_date=*/*")}
    known = {path.stem for path in recs.control.glob("manifests/run_date=*/*.json")}
    return bad + [f"the run {run} is lost" for run in known - live - kept]
