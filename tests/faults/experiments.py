"""Faults against the real command line, and what readers find after each. The tests run some, `make faults` all."""

import hashlib
import random
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import NamedTuple

from batch_jobs.verify import verify_run
from rec_export.errors import BusyError, RecExportError
from rec_export.recs import Recs, run_in
from tests.conftest import LAST_DAY, contents
from tests.faults.killing import Ended, Forge

KILLED = -SIGKILL  # as a process ends
MOST_STATES = 500  # of the files, that kills of one command leave


class Scene(NamedTuple):
    """A command, the files before it, and what an undisturbed run of it leaves."""

    name: str
    before: Path
    argv: list[str]  # with RECS for the read root
    after: dict[str, bytes | None]  # the read root
    changes: int


class Tally(NamedTuple):
    """What came of an experiment."""

    tried: int
    landed: int  # kills that hit a process that was still at work
    bad: list[str]  # what should not have been


def scenes(forge: Forge, folder: Path, bundle: Path, log: Path) -> Iterator[Scene]:
    """First publish, repair, re-publish, rollback and withdrawal; each starts where the one before ends."""
    score = ["-q", "score", str(bundle), "--interactions", str(log), "--out", "RECS", "--run-date", LAST_DAY, "--k"]
    (folder / "0").mkdir()
    steps = {
        "first publish": [*score, "5"],
        "repair": [*score, "5", "--replace"],
        "re-publish": [*score, "6", "--replace"],
        "rollback": ["rollback", "RECS", "--run-date", LAST_DAY, "--to", "FIRST"],
        "withdrawal": ["rollback", "RECS", "--run-date", LAST_DAY, "--withdraw"],
    }
    forge.warm(*at([*score, "5"], folder / "warm"))
    first = ""
    for place, (name, words) in enumerate(steps.items()):
        before, now = folder / str(place), folder / str(place + 1)
        if name == "repair":
            next((before / "recs").rglob("part-00001*")).write_bytes(b"damaged")
        shutil.copytree(before, now)
        argv = [word.replace("FIRST", first) for word in words]
        done = forge.run(*at(argv, now))
        assert done.code == 0, done.said
        first = first or str(run_in(Recs.at(now / "recs").live(LAST_DAY)))
        yield Scene(name, before, argv, contents(now / "recs"), done.changes)


def at(argv: list[str], folder: Path) -> list[str]:
    """The command for the read root in a folder."""
    return [str(folder / "recs") if word == "RECS" else word for word in argv]


def signalled_at(forge: Forge, scene: Scene, folder: Path, changes: Iterable[int], sent: int = SIGKILL) -> Tally:
    """Send the command a signal before one of its changes, then repeat it and let it end; for each of some changes."""
    bad, tried, landed = [], 0, 0
    for number in changes:
        tried += 1
        here = Path(shutil.copytree(scene.before, folder / "here"))
        code = forge.run(*at(scene.argv, here), at=number, sent=sent).code
        landed += code in (-sent, 128 + sent)
        found = [*wrongs(scene, here), *ends_well(forge, scene, here)]
        bad += [f"{scene.name}, signal {sent} before change {number}: {wrong}" for wrong in found]
        shutil.rmtree(here)
    return Tally(tried, landed, bad)


def killed_again_and_again(forge: Forge, scene: Scene, folder: Path) -> Tally:
    """Kill the command before each of its changes, from every state of the files that kills can leave.

    What it does depends on the files alone. So this is each kill, each pair of kills, and each longer row of them.
    The process is stopped there and the files are copied, and it goes on, as a run for each kill would take hours.
    """
    starts, seen, landed = [scene.before], {state(scene.before)}, 0
    bad: list[str] = []
    for start in starts:  # which grows
        assert len(starts) < MOST_STATES, f"every kill leaves something more: {[start.name for start in starts[-5:]]}"
        whole = Path(shutil.copytree(start, folder / "whole"))
        ended, lefts = forge.copied(whole, folder / start.name, *at(scene.argv, whole))
        bad += [f"{scene.name} after kills, {start.name}: {wrong}" for wrong in wrong_end(ended, scene, whole)]
        shutil.rmtree(whole)
        landed += len(lefts)
        for left in lefts:
            bad += [f"{scene.name} killed, {left.name}: {wrong}" for wrong in wrongs(scene, left)]
            if state(left) not in seen:
                seen.add(state(left))
                starts.append(left)
            else:
                shutil.rmtree(left)
    return Tally(len(starts), landed, bad)


def left_by_kills(forge: Forge, scene: Scene, folder: Path) -> list[bytes]:
    """What SIGKILL before each change of the command leaves of the files; a run for each."""
    found = []
    for number in range(1, scene.changes + 1):
        here = Path(shutil.copytree(scene.before, folder / "here"))
        assert forge.run(*at(scene.argv, here), at=number).code == KILLED
        found.append(state(here))
        shutil.rmtree(here)
    return found


def left_by_copies(forge: Forge, scene: Scene, folder: Path) -> list[bytes]:
    """The same by copies of the files, in one run."""
    here = Path(shutil.copytree(scene.before, folder / "here"))
    _, lefts = forge.copied(here, folder / "left", *at(scene.argv, here))
    return [state(left) for left in lefts]


def killed_midway(forge: Forge, scene: Scene, folder: Path, landings: int) -> Tally:
    """Kill the command after random times until it ends, and all over, until so many kills came after a change."""
    bad, tried, landed, random_times = [], 0, 0, random.Random(0)
    whole = Path(shutil.copytree(scene.before, folder / "whole"))
    began = time.monotonic()
    forge.run(*at(scene.argv, whole))
    longest = time.monotonic() - began
    while landed < landings:
        here = Path(shutil.copytree(scene.before, folder / f"{tried}"))
        code, kills = KILLED, 0
        while code == KILLED:  # ever later, so that it ends on a slow machine too
            code, changes, _ = forge.run(*at(scene.argv, here), after=random_times.uniform(0, longest * 1.2**kills))
            kills += code == KILLED
            landed += code == KILLED and changes > 0
            bad += [f"{scene.name}, try {tried}: {wrong}" for wrong in wrongs(scene, here)]
        bad += [f"{scene.name}, try {tried}: {wrong}" for wrong in ends_well(forge, scene, here)]
        tried += 1
        shutil.rmtree(here)
    return Tally(tried, landed, bad)


def stopped_at(forge: Forge, scene: Scene, folder: Path) -> Tally:
    """Stop the command before each of its changes, try it once more meanwhile, and let the first go on."""
    bad, busy = [], 0
    for number in range(1, scene.changes + 1):
        here = Path(shutil.copytree(scene.before, folder / "here"))
        first, other = forge.beside_stopped(number, *at(scene.argv, here))
        busy += other.code == BusyError.exit_code
        if first.code not in (0, BusyError.exit_code) or other.code not in (0, BusyError.exit_code):
            bad.append(f"{scene.name} stopped before change {number}: {first.said} {other.said}")
        bad += [f"{scene.name} stopped before change {number}: {wrong}" for wrong in ends_well(forge, scene, here)]
        shutil.rmtree(here)
    return Tally(scene.changes, busy, bad)


def ends_well(forge: Forge, scene: Scene, here: Path) -> list[str]:
    """Repeat the command and let it end; what is wrong then."""
    return wrong_end(forge.run(*at(scene.argv, here)), scene, here)


def wrong_end(ended: Ended, scene: Scene, here: Path) -> list[str]:
    """What is wrong after the command ran to its end."""
    if (ended.code, contents(here / "recs")) != (0, scene.after):
        return [f"the next run ends with {ended.code} {ended.said}", *left_over(here)]
    return left_over(here)


def state(folder: Path) -> bytes:
    """A digest of all files, their modes and names; without times, and without what is drawn by chance."""
    found = []
    for path in folder.rglob("*"):
        name = re.sub(r"unfinished-[0-9a-f]{16}|(?<=gone/[0-9a-f]{12}-)\d+", "*", str(path.relative_to(folder)))
        content = path.read_bytes() if path.is_file() else b""
        timeless = re.sub(rb': ("\d{4}-\d\d-\d\dT[^"]*"|\d+\.\d+)', b"", content)
        found.append((name, path.stat().st_mode, timeless))
    return hashlib.sha256(repr(sorted(found)).encode()).digest()


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
