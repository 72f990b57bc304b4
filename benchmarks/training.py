"""Speed and memory of training beside other libraries, what a step costs as the catalogue grows, and time to accuracy.

    benchmarks/peers/install.sh PEERS
    python -m benchmarks.training --shared ../shared --peers PEERS > docs/training_speed.md

Every case runs in a process of its own, on one thread pinned to one core, as many at a time as there are cores. Speed
is likings learned from in a second of CPU time, the first epoch (which compiles) not counted; memory is the peak of the
whole process, reading included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.made_up import write_log
from benchmarks.peers.measured import BATCH, DIM, OURS, USERS
from rec_export.bench.measure import processor
from rec_export.config import Config
from rec_export.machine import prepare

ROOT = Path(__file__).resolve().parents[1]
SETS = {"electronics": "amazon-electronics-2023", "retail": "online-retail-ii"}
MADE_UP = {"rows": 5_000_000, "users": 500_000, "items": 150_000}
TABLES = (10_000, 150_000, 1_000_000)  # items
PEERS = {  # the environment, the script and its words
    "bpr of implicit": ("", "with_implicit.py", "bpr"),
    "als of implicit": ("", "with_implicit.py", "als"),
    "warp of lightfm": ("lightfm", "with_lightfm.py", "warp"),
    "bpr of RecBole": ("recbole", "with_recbole.py"),
}


SMALL = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print()  # the case may not have ended its line
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""  # a process begins with the peak of the one that starts it, so that one is small


def in_process(core: int, command: list[str]) -> tuple[Any, float]:
    """Run a command on one core: what it printed as JSON, and its peak memory in MB."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    pinned = ["taskset", "--cpu-list", str(core), sys.executable, "-S", "-c", SMALL, *command]
    told = subprocess.run(pinned, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, check=False)
    if told.returncode != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    *_, found, kilobytes = told.stdout.splitlines()
    return json.loads(found), int(kilobytes) / 1024


def own(*words: object) -> list[str]:
    """The command of one case of ours."""
    return [sys.executable, "-m", "benchmarks.training_cases", *map(str, words)]


def peer(name: str, peers: Path, log: Path) -> list[str]:
    """The command of one case of a peer, in an environment of its own if it needs one."""
    home, script, *words = PEERS[name]
    python = peers / home / "bin" / "python" if home else Path(sys.executable)
    return [str(python), str(ROOT / "benchmarks" / "peers" / script), *words, str(log)]


def configs(shared: Path, work: Path) -> Iterator[tuple[str, Path]]:
    """The name and the configuration of each log, with its files below `work`."""
    for name, dataset in SETS.items():
        split = [shared / "tools" / "holdout.py", "split", dataset, "--data", shared / "data", "--seed", 0]
        words = [sys.executable, *map(str, split), "--out", str(work / "data" / name)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        (work / f"{name}.yaml").write_text((ROOT / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))
        yield name, work / f"{name}.yaml"
    write_log(work / "made-up.parquet", **MADE_UP)
    (work / "made-up.yaml").write_text("data: {interactions: {path: made-up.parquet}}\n")
    yield "made up", work / "made-up.yaml"


HEAD = """# Speed of training

Made by `benchmarks/peers/install.sh PEERS` and `python -m benchmarks.training --shared ../shared --peers PEERS >
docs/training_speed.md` on {cores} shared cores ({cpu}) without a GPU, everything in one run,
each case in a process of its own on one thread pinned to one core, {lanes} at a time. Speed is likings learned from
in a second of CPU time (an epoch of
`als` is one iteration; `pmf` and `hybrid` learn from many items at once, and `hybrid` reads the user's history); memory
is the peak of the whole process, reading the log included. `als` has 32 factors, `hybrid by default` 64 or 128, all
others {dim}.
The made-up log has {rows:,} rows of {users:,} users and {items:,} items (benchmarks/made_up.py).

| log | what | likings / CPU second | peak MB |
|---|---|---|---|
"""
STEPS = """
A step on a batch of {batch:,} pairs, tables of {users:,} users and so many items, {dim} factors: CPU milliseconds. Ours
moves the rows of the batch, and their running mean; AdamW is torch's own, fused and without a running mean.

| items | row by row | AdamW |
|---|---|---|
"""
REACH = """
CPU seconds of learning (validation apart) until NDCG@10 on our validation rows was 99% of the best that the model
reached, and 99% of the best of `als`, whose factors are those of implicit's own solver to the last bit.

| log | model | best NDCG@10 | seconds to 99% of it | seconds to 99% of the best of als |
|---|---|---|---|---|
"""


def say(text: str) -> None:
    """A part of the page."""
    sys.stdout.write(text)
    sys.stdout.flush()


def there(name: str, peers: Path | None) -> bool:
    """Whether the environment that a peer needs was made."""
    home = PEERS[name][0]
    return not home or (peers is not None and (peers / home / "ready").exists())


def until(curve: list[tuple[float, float]], goal: float) -> str:
    """The first second at which a curve is at 99% of a goal."""
    return next((f"{seconds:.1f}" for seconds, ndcg in curve if ndcg >= 0.99 * goal), "never")


def page(shared: Path, peers: Path | None, work: Path, lanes: int) -> None:
    """Measure everything, `lanes` cases at a time, and print what was found in a fixed order."""
    cores: SimpleQueue[int] = SimpleQueue()
    own_cores = sorted(os.sched_getaffinity(0))
    for lane in range(lanes):
        cores.put(own_cores[lane % len(own_cores)])

    def measured(command: list[str]) -> tuple[Any, float]:
        core = cores.get()
        try:
            return in_process(core, command)
        finally:
            cores.put(core)

    say(HEAD.format(cores=os.cpu_count(), cpu=processor().get("model name", "?"), lanes=lanes, dim=DIM, **MADE_UP))
    with ThreadPoolExecutor(lanes) as pool:
        speeds: dict[tuple[str, str], Future[tuple[Any, float]]] = {}
        reaches: dict[tuple[str, str], Future[tuple[Any, float]]] = {}
        for name, config in configs(shared, work):
            log = config.parent / Config.load(config).data.interactions.path
            commands = {way: own(way, config) for way in OURS}
            commands |= {way: peer(way, peers or Path(), log) for way in PEERS if there(way, peers)}
            speeds |= {(name, way): pool.submit(measured, command) for way, command in commands.items()}
        steps = {
            items: [pool.submit(measured, own("step", items, how)) for how in ("row-wise", "dense")] for items in TABLES
        }
        for name in SETS:  # last, as they take longest
            config = work / f"{name}.yaml"
            reaches |= {(name, m): pool.submit(measured, own("reach", m, config)) for m in ("als", "bpr", "hybrid")}
        for (name, way), speed in speeds.items():
            likings, megabytes = speed.result()
            say(f"| {name} | {way} | {likings:,.0f} | {megabytes:,.0f} |\n")
        say(STEPS.format(batch=BATCH, users=USERS, dim=DIM))
        for items, pair in steps.items():
            say("| {:,} | {:.1f} | {:.1f} |\n".format(items, *(step.result()[0] for step in pair)))
        say(REACH)
        for (name, model), curve in reaches.items():
            mine, als = curve.result()[0], reaches[name, "als"].result()[0]
            best, theirs = (max(ndcg for _, ndcg in told) for told in (mine, als))
            say(f"| {name} | {model} | {best:.4f} | {until(mine, best)} | {until(mine, theirs)} |\n")


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder with data/ and tools/holdout.py")
    parser.add_argument("--peers", type=Path, help="the folder that benchmarks/peers/install.sh made")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--lanes", type=int, default=cores, help="cases at a time; more than cores on a busy machine")
    options = parser.parse_args()
    prepare()  # what each case inherits
    with tempfile.TemporaryDirectory() as work:
        page(options.shared.resolve(), options.peers and options.peers.resolve(), Path(work), options.lanes)


if __name__ == "__main__":
    main()
