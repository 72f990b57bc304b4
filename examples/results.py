"""Run models on the four real sets, all the way to Parquet, and print docs/results.md.

    python examples/results.py --shared ../shared > docs/results.md

The sets and the judge are not part of the project: --shared names a folder with data/ and tools/holdout.py. All is
measured from outside: each command is a process of its own, and the lists are judged from their Parquet, beside those
of a peer (peers.py). What was judged is kept in examples/work, so the same command goes on where it was stopped.
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent


class Held(NamedTuple):
    """A log, how it is split, and the best well-known method on it, as its validation rows set it."""

    dataset: str
    seed: int
    peer: tuple[str, ...]
    whole: bool = False  # rank the whole catalogue of the shop, of which only some have ever been bought


INSTRUMENTS, LASTFM = "amazon-musical-instruments-5core", "hetrec2011-lastfm"
NEAREST = {0: ("itemknn",), 1: ("itemknn",), 2: ("itemknn", "--power", "0.5")}
FACTORS = {0: ("als",), 1: ("als", "--factors", "128"), 2: ("als",)}
SETS = {
    "electronics": Held("amazon-electronics-2023", 0, ("recent", "--days", "30")),
    "retail": Held("online-retail-ii", 0, ("faded", "--days", "7")),
    **{f"instruments {seed}": Held(INSTRUMENTS, seed, peer) for seed, peer in NEAREST.items()},
    "instruments last": Held(f"{INSTRUMENTS}:last", 0, ("itemknn", "--days", "365")),
    **{f"instruments {seed} of 83,046": Held(INSTRUMENTS, seed, peer, True) for seed, peer in NEAREST.items()},
    **{f"lastfm {seed}": Held(LASTFM, seed, peer) for seed, peer in FACTORS.items()},
}
MODELS = {
    "popular": ["model={name: popular}"],
    "pmf": ["model={name: pmf}"],
    "als": ["model={name: als}"],
    "bpr": ["model={name: bpr}"],
    "music": ["model={name: music}"],
    "hybrid": ["model={name: hybrid}"],
    "gated": ["model={name: gated}"],
    "hybrid x3": ["model={name: hybrid}", "training.seeds=3"],
}
"""What is set in the configuration, and nothing else."""
PEER = "peer"
COST = ("train s", "export s", "score s", "peak MB")
METRICS = ("hr@10", "recall@10", "ndcg@10", "mrr@10", "recall@50")


class Result(NamedTuple):
    """What was judged of one model on one set."""

    judge: dict[str, Any]
    seconds: list[float]
    megabytes: float
    gap: "pd.Series[float]"  # NDCG@10 minus the peer's, by warm user


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


def split(shared: Path, name: str, data: Path) -> None:
    """Write the parts of a set into `data`, and the peer's lists for everybody."""
    held = SETS[name]
    run(sys.executable, shared / "tools" / "holdout.py", "split", held.dataset, "--data", shared / "data",
        "--out", data, "--seed", held.seed)  # fmt: skip
    if held.whole:
        catalogue = shared / "data" / INSTRUMENTS / "catalogue_2014.parquet"
        pq.write_table(pq.read_table(catalogue, columns=["item_id"]), data / "items.parquet")
    users = everybody(data, data / "users.parquet")
    run(sys.executable, HERE / "peers.py", held.peer[0], data / "train.parquet", users, *held.peer[1:],
        "--out", data / "peer.parquet")  # fmt: skip


def folder(name: str, model: str) -> Path:
    """Where one model on one set is kept."""
    return HERE / "work" / name.replace(" ", "-") / model.replace(" ", "-")


def measured(shared: Path, name: str, model: str, verb: str) -> Result:
    """Train, export, score and judge one model on one set."""
    data, work = HERE / "data" / name.split()[0], folder(name, model)
    recs = data / "peer.parquet" if model == PEER else work / "recs"
    if (work / "result.json").exists():
        return Result(gap=minus(shared, data, recs), **json.loads((work / "result.json").read_text(encoding="utf-8")))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    steps = {} if model == PEER else made(data, work, HERE / f"{name.split()[0]}.yaml", model, verb)
    judge = run(sys.executable, shared / "tools" / "holdout.py", "judge", recs, "--train", data / "train.parquet",
                "--test", data / "test.parquet", "--items", data / "items.parquet", "--bootstrap", 1000)  # fmt: skip
    seconds, memory = [step.seconds for step in steps.values()], [step.megabytes for step in steps.values()]
    kept = {"judge": json.loads(judge.stdout), "seconds": seconds, "megabytes": max(memory, default=0.0)}
    (work / "result.json").write_text(json.dumps(kept), encoding="utf-8")
    return Result(gap=minus(shared, data, recs), **kept)


def made(data: Path, work: Path, config: Path, model: str, verb: str) -> dict[str, Ran]:
    """Train, export, and score everybody."""
    ours = Path(sys.executable).with_name("rec-export")
    changes = [word for change in MODELS[model] for word in ("--set", change)]
    return {
        "train": run(ours, "train", config, *changes, "--out", work / "checkpoint"),
        "export": run(ours, verb, work / "checkpoint", "--out", work / "bundle"),
        "score": run(ours, "score", work / "bundle", "--interactions", data / "train.parquet",
                     "--users", data / "users.parquet", "--k", 50, "--out", work / "recs"),
    }  # fmt: skip


def minus(shared: Path, data: Path, recs: Path) -> "pd.Series[float]":
    """NDCG@10 minus the peer's, of each warm user."""
    judge = module_at(shared / "tools" / "holdout.py")
    test = pd.read_parquet(data / "test.parquet")
    warm = test.user_id.isin(pd.read_parquet(data / "train.parquet").user_id)
    values = []
    for lists in (recs, data / "peer.parquet"):
        rows = pd.read_parquet(lists, columns=["user_id", "item_id", "rank"])
        pairs = pd.MultiIndex.from_frame(rows[["user_id", "item_id"]])
        values.append(judge.per_user(rows, pairs, test[warm], 10, 50)["ndcg@10"])
    return values[0] - values[1]


def told(gap: "pd.Series[float]") -> str:
    """The mean over users, and its 95% interval."""
    value = gap.to_numpy()
    rng = np.random.default_rng(0)
    means = [value[rng.integers(len(value), size=len(value))].mean() for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{value.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


def over_splits(gaps: dict[str, dict[str, "pd.Series[float]"]]) -> str:
    """A table of the differences of sets with several splits: by user, the mean over the splits that judge the user."""
    models = [model for model in MODELS if any(model in by_model for by_model in gaps.values())]
    lines = [f"| set | splits | {' | '.join(models)} |", f"|---|---|{'---|' * len(models)}"]
    for kind in dict.fromkeys(re.sub(r" [0-9]\b", "", name) for name in gaps):
        splits = [by_model for name, by_model in gaps.items() if re.sub(r" [0-9]\b", "", name) == kind]
        cells = [told(pd.concat(whole).groupby(level=0).mean()) if (whole := [s[m] for s in splits if m in s]) else ""
                 for m in models]  # fmt: skip
        if len(splits) > 1:
            lines.append(f"| {kind} | {len(splits)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def module_at(path: Path) -> ModuleType:
    """A Python file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def everybody(data: Path, path: Path) -> Path:
    """A file of all users, those of the test part who are new among them."""
    parts = [pq.read_table(data / f"{part}.parquet", columns=["user_id"]) for part in ("train", "test")]
    pq.write_table(pa.concat_tables(parts, promote_options="permissive").group_by("user_id").aggregate([]), path)
    return path


def row(name: str, model: str, result: Result, busy: bool) -> str:
    """A line of the table."""
    warm, cold = result.judge["warm"], result.judge["cold"]
    low, high = warm["ci95"]["ndcg@10"]
    cells = [f"{warm[metric]:.4f}" + (f" [{low:.4f}, {high:.4f}]" if metric == "ndcg@10" else "") for metric in METRICS]
    served = f"{cold['ndcg@10']:.4f} ({cold['users']})" if cold and cold["users"] else ""
    who, gap = (" ".join(SETS[name].peer), "") if model == PEER else (model, told(result.gap))
    cost = [f"{seconds:.0f}" for seconds in result.seconds] + [f"{result.megabytes:,.0f}"]
    cost = [] if busy else cost if result.seconds else [""] * len(COST)
    coverage = f"{result.judge['coverage']:.3f}"
    return f"| {' | '.join([name, who, *cells, gap, served, coverage, *cost])} |"


HEAD = """# Results on real data

Made by `python examples/results.py --shared ../shared{flag} > docs/results.md`, on {cores} cores without a GPU{cost}.
Splits and metrics are those of `holdout.py`, from the Parquet that `score` wrote: full ranking of all items, seen items
left out, warm test users (those with a training row), 95% bootstrap intervals. The first row of each set is a
well-known method, made by examples/peers.py with settings that were chosen on validation rows; "minus it" is the
difference in NDCG@10, paired by user. Beside them NDCG@10 of cold test users and their number, who are scored by
`--users`. The configurations are in examples/; nothing in them is tuned to a set. On instruments and lastfm, where
order means nothing, hybrid, gated and pmf average three seeds in one export by themselves; `hybrid x3` is the same
asked for (`training.seeds: 3`). The number after a set is the seed of its split.

| {columns} |
|{dashes}
"""
TIMED = "; seconds are wall time of whole commands, memory is the largest peak of the three"
BUSY = ", beside other work, so without times"
OVER = """## Over all splits

"Minus it" again, each user's mean over the splits that judge the user; 95% intervals over users.
"""
BESIDE = ("minus it", "cold ndcg@10", "coverage@10")


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--kept", action="store_true", help="only what has been judged already")
    parser.add_argument("--busy", action="store_true", help="leave times out, and export TorchScript alone")
    options = parser.parse_args()
    shared = options.shared.resolve()
    columns = "set", "model", *METRICS, *BESIDE, *(() if options.busy else COST)
    cost = BUSY if options.busy else TIMED
    dashes = "---|" * len(columns)
    sys.stdout.write(
        HEAD.format(
            flag=" --busy" * options.busy, cores=os.cpu_count(), cost=cost, columns=" | ".join(columns), dashes=dashes
        )
    )
    gaps: dict[str, dict[str, pd.Series[float]]] = {}
    for name in options.sets:
        split(shared, name, HERE / "data" / name.split()[0])
        for model in [PEER, *options.models]:
            if options.kept and not (folder(name, model) / "result.json").exists():
                continue
            result = measured(shared, name, model, "torchscript" if options.busy else "export")
            gaps.setdefault(name, {})[model] = result.gap
            sys.stdout.write(row(name, model, result, options.busy) + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{OVER}\n{over_splits(gaps)}\n")


if __name__ == "__main__":
    main()
