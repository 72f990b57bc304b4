"""What a night costs beside its scanning, how much memory it takes, and how soon it goes on after a kill.

    python -m benchmarks.nightly overhead [--users 150000] [--items 160000] [--k 10 100] [--rounds 3] [--gaussian]
    python -m benchmarks.nightly memory [--users 10000 1000000]
    python -m benchmarks.nightly resume [--users 1000000]

Made-up logs, and BPR models that learn from them for one epoch. Seconds are of processor time, as others work on the
machine too; with one thread and a core to itself a run takes as many.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import yaml

from batch_jobs import scoring
from batch_jobs.executors import local, make_parts
from batch_jobs.job import ScoreJob
from batch_jobs.maker import PartMaker
from batch_jobs.parts import Shard
from batch_jobs.task import Task
from benchmarks.made_up import write_log
from exporters.job import ExportJob
from exporters.job import run as export
from rec_export.config import Config
from rec_export.recs import Recs
from trainers.job import TrainJob
from trainers.job import run as train

DAY = date(2026, 11, 20)
ROWS = 5  # of the log for each user, about
SMALL = 10_000  # items, where it is not they that are measured


class Place(NamedTuple):
    """A log and a bundle."""

    bundle: Path
    log: Path

    @classmethod
    def made(cls, folder: Path, users: int, items: int, dim: int, lr: float = 0.1) -> "Place":
        """Make the log up and learn from it; with a tiny `lr` vectors stay Gaussian."""
        folder.mkdir()
        write_log(folder / "log.parquet", max(ROWS * users, 2 * items), users, items)
        fields = {
            "data": {"interactions": {"path": str(folder / "log.parquet")}, "split": {"by": "none"}},
            "model": {"name": "bpr", "dim": dim},
            "training": {"epochs": 1, "seeds": 1, "lr": lr},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
        train(TrainJob(config=Config.load(folder / "config.yaml"), out=folder / "checkpoint"))
        export(ExportJob(checkpoint=folder / "checkpoint", out=folder / "bundle", formats=("torchscript",)))
        return cls(folder / "bundle", folder / "log.parquet")

    def job(self, out: Path, k: int) -> ScoreJob:
        """Everybody's lists."""
        return ScoreJob(bundle=self.bundle, interactions=self.log, out=out, run_date=DAY, k=k, device="cpu")

    def command(self, out: Path, k: int) -> list[str]:
        """The same as a command line."""
        words = ["-q", "score", str(self.bundle), "--interactions", str(self.log), "--out", str(out), "--k", str(k)]
        return [sys.executable, "-m", "rec_export.cli", *words, "--run-date", DAY.isoformat(), "--device", "cpu"]


class Spent(NamedTuple):
    """Seconds of processor time of one run."""

    start: float  # reading, and the items' vectors
    scanning: float  # the users' vectors too; made in other threads than the main one
    beside: float  # writing in the main thread, then reading back, checking and publishing

    @classmethod
    def by(cls, job: ScoreJob) -> "Spent":
        """Run a job."""
        marks: list[tuple[float, float]] = []

        def mark() -> None:
            marks.append((time.process_time(), time.thread_time()))

        def maker(task: Task) -> PartMaker:
            made = PartMaker(task)
            mark()
            return made

        def parts(task: Task, left: list[Shard]) -> None:
            make_parts(task, left)
            mark()

        mark()
        with patch.object(local, "PartMaker", maker), patch.object(scoring, "make_parts", parts):
            scoring.run(job)
        mark()
        begun, ready, made, ended = marks
        writing = made[1] - ready[1]
        return cls(ready[0] - begun[0], made[0] - ready[0] - writing, writing + ended[0] - made[0])


def overhead(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """What is not scanning, as a share of it."""
    users, items = options.users[0], options.items
    place = Place.made(folder / "place", users, items, options.dim, 1e-9 if options.gaussian else 0.1)
    kind = "Gaussian" if options.gaussian else "trained"
    yield f"{users:,} users, {items:,} items, {kind} vectors of {options.dim}; seconds of processor time"
    yield f"{'k':>5}{'scanning':>10}{'beside it':>11}{'share':>8}{'start':>8}"
    for k in options.k:
        runs = [Spent.by(place.job(folder / f"{k}-{number}" / "recs", k)) for number in range(options.rounds)]
        least = Spent(*(min(seconds) for seconds in zip(*runs, strict=True)))
        share = least.beside / least.scanning
        yield f"{k:>5}{least.scanning:>10.2f}{least.beside:>11.2f}{share:>8.0%}{least.start:>8.2f}"


class Process:
    """`rec-export score` in a process of its own."""

    def __init__(self, place: Place, out: Path, k: int) -> None:
        self.control, self.seconds, self.peak = Recs.at(out).control, 0.0, 0
        self.before = set(self.control.rglob("*"))
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(place.command(out, k), env=environment, stdout=subprocess.DEVNULL)

    def at_work(self) -> bool:
        """Whether it has not ended; and look how much it has taken so far."""
        if self.process.poll() is not None:
            return False
        times = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        self.seconds = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        high = [line for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines() if "VmHWM" in line]
        self.peak = int(high[0].split()[1]) // 1024 if high else self.peak
        return True

    def until(self, pattern: str, count: int) -> None:
        """Wait until it has made so many files."""
        while self.at_work() and len({*self.control.glob(pattern)} - self.before) < count:
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def memory(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Peak memory, by the number of users."""
    yield f"{'users':>12}{'log rows':>12}{'parts':>8}{'peak MB':>10}{'at the first part':>20}"
    for users in options.users:
        place = Place.made(folder / str(users), users, SMALL, 16)
        process = Process(place, folder / str(users) / "recs", 10)
        process.until("work/*/unfinished-*", 1)
        first = process.peak
        while process.at_work():
            time.sleep(0.01)
        parts = len(list((folder / str(users) / "recs").rglob("*.parquet")))
        yield f"{users:>12,}{max(ROWS * users, 2 * SMALL):>12,}{parts:>8}{process.peak:>10,}{first:>20,}"


def resume(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """From the restart after kill -9 until the next part is under way."""
    users = options.users[-1]
    place, out = Place.made(folder / "place", users, SMALL, 16), folder / "out" / "recs"
    yield f"{'users':>12}{'parts there':>13}{'seconds until the next is under way':>38}"
    for _ in range(options.rounds):
        process = Process(place, out, 10)
        process.until("work/*/done/part-*", 3)
        process.kill()
        there = len(list(process.control.glob("work/*/done/part-*")))
        process = Process(place, out, 10)
        process.until("work/*/unfinished-*", 1)
        yield f"{users:>12,}{there:>13}{process.seconds:>38.1f}"
        process.kill()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = {"overhead": overhead, "memory": memory, "resume": resume}
    parser.add_argument("table", choices=tables)
    parser.add_argument("--users", type=int, nargs="+")
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--gaussian", action="store_true")
    for name, value in {"items": 160_000, "dim": 64, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    options.users = options.users or {"overhead": [150_000], "memory": [10_000, 1_000_000]}.get(options.table, [10**6])
    with TemporaryDirectory() as folder:
        for line in tables[options.table](options, Path(folder)):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
