"""Run models on the four real sets, all the way to Parquet, and print docs/results.md.

    python examples/results.py --shared ../shared > docs/results.md

The sets and the judge are not part of the project: --shared names a folder with data/ and tools/holdout.py. All is
measured from outside: each command is a process of its own, and the lists are judged from their Parquet.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
SETS = {
    "electronics": ("amazon-electronics-2023", 0),
    "retail": ("online-retail-ii", 0),
    "instruments": ("amazon-musical-instruments-5core", 42),
    "lastfm": ("hetrec2011-lastfm", 0),
}
MODELS = {
    "popular": ["model={name: popular}"],
    "pmf": ["model={name: pmf}"],
    "als": ["model={name: als}"],
    "bpr": ["model={name: bpr}"],
    "hybrid": ["model={name: hybrid}"],
    "gated": ["model={name: gated}"],
    "hybrid x3": ["model={name: hybrid}", "training.seeds=3"],
}
"""What is set in the configuration, and nothing else."""
METRICS = ("hr@10", "recall@10", "ndcg@10", "mrr@10", "recall@50")


class Ran(NamedTuple):
    """A process that ended well."""

    stdout: str
    seconds: float
    megabytes: float


def run(*command: object) -> Ran:
    """Run a command; the time it took and its peak memory."""
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
    assert process.stdout is not None
    stdout = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}\n{stdout}")
    return Ran(stdout, time.monotonic() - started, usage.ru_maxrss / 1024)


def measured(shared: Path, name: str, model: str) -> dict[str, Any]:
    """Train, export, score and judge one model on one set."""
    data, work = HERE / "data" / name, HERE / "work" / name / model.replace(" ", "-")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    ours = Path(sys.executable).with_name("rec-export")
    changes = [word for change in MODELS[model] for word in ("--set", change)]
    train = run(ours, "train", HERE / f"{name}.yaml", *changes, "--out", work / "checkpoint")
    export = run(ours, "export", work / "checkpoint", "--out", work / "bundle")
    log = data / "train.parquet"
    users = everybody(data, work / "users.parquet")
    score = run(ours, "score", work / "bundle", "--interactions", log, "--users", users, "--k", 50,
                "--out", work / "recs")  # fmt: skip
    judge = run(sys.executable, shared / "tools" / "holdout.py", "judge", work / "recs", "--train", log,
                "--test", data / "test.parquet", "--items", data / "items.parquet", "--bootstrap", 1000)  # fmt: skip
    steps = {"train": train, "export": export, "score": score}
    return {"judge": json.loads(judge.stdout), "steps": steps}


def everybody(data: Path, path: Path) -> Path:
    """A file of all users, those of the test part who are new among them."""
    parts = [pq.read_table(data / f"{part}.parquet", columns=["user_id"]) for part in ("train", "test")]
    pq.write_table(pa.concat_tables(parts, promote_options="permissive").group_by("user_id").aggregate([]), path)
    return path


def row(name: str, model: str, result: dict[str, Any]) -> str:
    """A line of the table."""
    warm = result["judge"]["warm"]
    low, high = warm["ci95"]["ndcg@10"]
    cells = [f"{warm[metric]:.4f}" + (f" [{low:.4f}, {high:.4f}]" if metric == "ndcg@10" else "") for metric in METRICS]
    steps = [f"{step.seconds:.0f}" for step in result["steps"].values()]
    memory = max(step.megabytes for step in result["steps"].values())
    cold = result["judge"]["cold"]
    served = f"{cold['ndcg@10']:.4f} ({cold['users']})" if cold and cold["users"] else ""
    coverage = f"{result['judge']['coverage']:.3f}"
    return f"| {' | '.join([name, model, *cells, served, coverage, *steps, f'{memory:,.0f}'])} |"


HEAD = """# Results on real data

Made by `python examples/results.py --shared ../shared > docs/results.md`, on {cores} shared cores without
a GPU; seconds are wall time of whole commands, memory is the largest peak of the three. Splits and metrics are those
of `holdout.py`, from the Parquet that `score` wrote: full ranking of all items, seen items left out, warm test users
(those with a training row), 95% bootstrap intervals; beside them NDCG@10 of cold test users and their number, who
are scored by `--users`. The configurations are in examples/; nothing in them is tuned to a set. `hybrid x3` is one
export of three seeds (`training.seeds: 3`).

| set | model | {metrics} | cold ndcg@10 | coverage@10 | train s | export s | score s | peak MB |
|---|---|{dashes}---|---|---|---|---|---|
"""


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    shared = options.shared.resolve()
    head = HEAD.format(cores=os.cpu_count(), metrics=" | ".join(METRICS), dashes="---|" * len(METRICS))
    sys.stdout.write(head)
    for name in options.sets:
        dataset, seed = SETS[name]
        run(sys.executable, shared / "tools" / "holdout.py", "split", dataset, "--data", shared / "data",
            "--out", HERE / "data" / name, "--seed", seed)  # fmt: skip
        for model in options.models:
            sys.stdout.write(row(name, model, measured(shared, name, model)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
