"""How long an incremental night takes beside a full one, on the same files, and that both publish the same bytes.

    python -m benchmarks.incremental LOG [--time timestamp] [--new 0.01] [--models bpr als ncf] [--k 50]

A model that reads no trends learns from the whole log. The first night knows the log but for its newest rows, the
second all of it; the second is run in full and incrementally, in turn, and the least processor time of each counts.
"""

import argparse
import os
import shutil
import sys
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import pyarrow.parquet as pq
import yaml

from batch_jobs.job import ScoreJob
from batch_jobs.scoring import Scored, run
from exporters.job import ExportJob
from exporters.job import run as export
from rec_export.config import Config
from rec_export.files import files_below
from trainers.job import TrainJob
from trainers.job import run as train

FIRST, SECOND = date(2026, 11, 20), date(2026, 11, 21)  # after the newest row


def made(folder: Path, options: argparse.Namespace, model: str) -> Path:
    """The bundle of a model."""
    interactions = {"path": str(options.log.resolve()), "time": options.time}
    fields = {
        "data": {"interactions": interactions, "split": {"by": "none"}},
        "model": {"name": model},
        "training": {"epochs": options.epochs, "seeds": 1},
    }
    (folder / f"{model}.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    train(TrainJob(config=Config.load(folder / f"{model}.yaml"), out=folder / model))
    export(ExportJob(checkpoint=folder / model, out=folder / f"{model}.bundle", formats=("torchscript",)))
    return folder / f"{model}.bundle"


def before(options: argparse.Namespace, folder: Path) -> Path:
    """The log without its newest rows."""
    log = pq.read_table(options.log)
    log = log if options.time is None else log.sort_by(options.time)
    pq.write_table(log.slice(0, int(len(log) * (1 - options.new))), folder / "before.parquet")
    return folder / "before.parquet"


def night(bundle: Path, log: Path, out: Path, day: date, k: int, incremental: bool = True) -> tuple[float, Scored]:
    """A night, and the seconds of processor time that it took: others work on the machine too."""
    job = ScoreJob(bundle=bundle, interactions=log, out=out, run_date=day, k=k, incremental=incremental)
    started = time.process_time()
    done = run(job)
    return time.process_time() - started, done


def measure(folder: Path, options: argparse.Namespace, model: str) -> str:
    """One row of the table."""
    bundle, first = made(folder, options, model), folder / f"{model}.first"
    night(bundle, before(options, folder), first / "recs", FIRST, options.k)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    live: dict[bool, list[bytes]] = {}
    manifests = {}
    for _ in range(options.rounds):
        for incremental in (True, False):
            place = Path(shutil.copytree(first, folder / f"{model}.second"))
            taken, done = night(bundle, options.log, place / "recs", SECOND, options.k, incremental)
            seconds[incremental].append(taken)
            manifests[incremental] = done.manifest
            live[incremental] = [path.read_bytes() for path in files_below(place / "recs" / f"run_date={SECOND}")]
            shutil.rmtree(place)
    if live[True] != live[False]:
        raise SystemExit(f"{model}: the incremental night published other bytes than the full one")
    full, some, told = min(seconds[False]), min(seconds[True]), manifests[True]
    users = sum(told.users.values())
    share, why = told.carried / users, told.everybody_because or ""
    return f"{model:<8}{users:>9,}{told.items:>9,}{share:>10.1%}{some / full:>12.2f}{full:>9.1f} s  {why}".rstrip()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("--time")
    parser.add_argument("--new", type=float, default=0.01)
    parser.add_argument("--models", nargs="+", default=["bpr", "als", "ncf"])
    for name, value in {"k": 50, "epochs": 1, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    sys.stdout.write(f"{'model':<8}{'users':>9}{'items':>9}{'carried':>10}{'inc./full':>12}{'full':>11}\n")
    with TemporaryDirectory() as folder:
        for model in options.models:
            sys.stdout.write(measure(Path(folder), options, model) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
