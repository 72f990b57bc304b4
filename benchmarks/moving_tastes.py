"""Logs in which popularity stands still while tastes move on, or stay in scenes, beside item neighbours.

    python -m benchmarks.moving_tastes [--cases scenes20 scenes90 series clubs playlists] [--models hybrid gated]
        [--blind] [--alone]

The logs are made up, the newest 15 % of their rows held out; NDCG@10 of what is new to a user. `itemknn` is the cosine
of items, shrunk; in `fading` a liking weighs half for every 30 days of age. `--blind` does not ask the log whether
order tells anything, `--alone` adds no shallow auto-encoder; versions before did neither.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import numpy as np
import pandas as pd
from scipy import sparse

from rec_export.config import Config
from trainers.evaluate import EvaluateJob
from trainers.evaluate import run as evaluate
from trainers.job import TrainJob
from trainers.job import run as train
from trainers.order import nearness, order_tells

DAY, YEAR = 86_400, 365
BEGIN = 1_700_000_000


def scenes(stay: float) -> pd.DataFrame:
    """3,000 users like some 25 things in a year, in one of 40 scenes of 20 items at a time, for about `stay` days."""
    rng, rows = np.random.default_rng(0), []
    liked = np.arange(1, 21) ** -0.7
    for user in range(3000):
        days = np.sort(rng.uniform(0, YEAR, rng.poisson(25)))
        moves = np.cumsum(rng.exponential(stay, int(8 * YEAR / stay) + 8))
        scene = rng.integers(40, size=len(moves) + 1)[np.searchsorted(moves, days)]
        items = 20 * scene + rng.choice(20, len(days), p=liked / liked.sum())
        rows += [(user, int(item), int(BEGIN + day * DAY)) for item, day in zip(items, days, strict=True)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).drop_duplicates(["user_id", "item_id"])


def series() -> pd.DataFrame:
    """3,000 users read some of 60 series of 15 volumes, from somewhere on and mostly in order."""
    rng, rows = np.random.default_rng(0), []
    for user in range(3000):
        for one in rng.choice(60, rng.integers(1, 5), replace=False):
            volume, day = int(rng.integers(0, 10)), float(rng.uniform(0, YEAR))
            while volume < 15 and day < YEAR:
                rows.append((user, 15 * int(one) + volume, int(BEGIN + day * DAY)))
                volume, day = volume + 1 + int(rng.random() < 0.1), day + float(rng.exponential(20))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


def loyal(users: int, items: int, scenes: int, mean: int) -> pd.DataFrame:
    """Users who stay in a few scenes for three years, and like some `mean` things, most of their scenes in the end."""
    rng, rows = np.random.default_rng(0), []
    scene, liked = rng.integers(0, scenes, items), -0.7 * np.log(rng.permutation(items) + 10)
    for user in range(users):
        mine = np.log(rng.dirichlet(np.full(scenes, 0.06))[scene] + 0.002) + liked
        count = min(int(mean * rng.lognormal(0, 0.4)), items // 2)
        chosen = np.argsort(-(mine + rng.gumbel(size=items)))[:count]  # one by one, each by its odds among those left
        days = np.sort(rng.uniform(rng.uniform(0, 0.3 * 900), 900, count))
        rows += [(user, int(item), int(BEGIN + day * DAY)) for item, day in zip(chosen, days, strict=True)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


CASES: dict[str, Callable[[], pd.DataFrame]] = {
    "scenes20": lambda: scenes(20),
    "scenes90": lambda: scenes(90),
    "series": series,
    "clubs": lambda: loyal(943, 1500, 40, 80),
    "playlists": lambda: loyal(350, 2500, 60, 220),
}


def neighbours(known: pd.DataFrame, half: float | None, path: Path) -> None:
    """The ten nearest items that are new to each user, as Parquet."""
    user, users = pd.factorize(known.user_id)
    item, items = pd.factorize(known.item_id)
    shape = len(users), len(items)
    met = sparse.csr_matrix((np.ones(len(known), np.float32), (user, item)), shape)
    age = (known.timestamp.max() - known.timestamp.to_numpy()) / DAY
    weight = np.ones(len(known)) if half is None else 0.5 ** (age / half)
    score = sparse.csr_matrix((weight.astype(np.float32), (user, item)), shape) @ nearness(met)
    score[met.toarray() > 0] = -np.inf
    best = np.argsort(-score, axis=1, kind="stable")[:, :10]
    columns = {"user_id": np.repeat(users, 10), "rank": np.tile(np.arange(1, 11), len(users))}
    pd.DataFrame({**columns, "item_id": items[best.ravel()]}).to_parquet(path)


def figures(log: pd.DataFrame, models: list[str], alone: bool, folder: Path) -> dict[str, float]:
    """NDCG@10 of each model, and of the neighbours."""
    edge = log.timestamp.quantile(0.85)
    known = log[log.timestamp < edge]
    known.to_parquet(folder / "known.parquet")
    log[log.timestamp >= edge].to_parquet(folder / "later.parquet")
    data = {"interactions": {"path": str(folder / "known.parquet"), "time": "timestamp"}, "split": {"by": "none"}}
    beside = {"itemknn": None, "fading": 30.0}
    found: dict[str, float] = {}
    for model in models:
        training = {"shallow": not alone}
        config = Config.of({"data": data, "model": {"name": model}, "training": training}, "benchmarks.moving_tastes")
        train(TrainJob(config=config, out=folder / model))
        for name, half in beside.items():
            neighbours(known, half, folder / f"{name}.parquet")
            job = EvaluateJob(
                checkpoint=folder / model, test=folder / "later.parquet", k=(10,), against=folder / f"{name}.parquet"
            )
            results = evaluate(job).results
            found[model] = results["model"]["warm"].metrics["ndcg@10"].mean
            found[name] = results["against"]["warm"].metrics["ndcg@10"].mean
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--models", nargs="+", default=["hybrid", "gated"])
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    for case in options.cases:
        with (
            TemporaryDirectory() as folder,
            patch("trainers.plan.order_tells", (lambda _: False) if options.blind else order_tells),
        ):
            found = figures(CASES[case](), options.models, options.alone, Path(folder))
        told = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
        sys.stdout.write(f"    {case:<10}{told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
