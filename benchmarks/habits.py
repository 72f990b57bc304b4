"""How near lists that may hold what a user has met come to each user's own habits, on a log of repeated purchases.

    python -m benchmarks.habits ../shared/data/online-retail-ii [--models hybrid gated als bpr] [--days 30]

The clean lines of Online Retail II, the last days held out; NDCG@10 of everything bought in them, with `seen: keep`.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import pandas as pd

from rec_export.config import Config
from rec_export.metrics import Estimate
from trainers.evaluate import EvaluateJob, Evaluation
from trainers.evaluate import run as evaluate
from trainers.job import TrainJob
from trainers.job import run as train

DAY = 86_400  # seconds


def purchases(folder: Path) -> pd.DataFrame:
    """What customers bought: user_id, item_id, timestamp in seconds."""
    lines = pd.read_parquet(folder / "interactions.parquet")
    products = pd.read_parquet(folder / "items.parquet").query("is_product").item_id
    bought = (lines.quantity > 0) & (lines.unit_price > 0) & ~lines.invoice.str.startswith("C")
    kept = lines[bought & lines.user_id.notna() & lines.item_id.isin(products)]
    return kept[["user_id", "item_id", "timestamp"]]


def judged(model: str, folder: Path) -> Evaluation:
    """A model of the known rows, on the rows that follow."""
    data = {
        "interactions": {"path": str(folder / "known.parquet"), "time": "timestamp"},
        "items": {"path": str(folder / "items.parquet"), "id": "item_id", "dense": ["price"], "text": ["title"]},
        "split": {"by": "none"},
    }
    config = Config.of({"data": data, "model": {"name": model}, "score": {"seen": "keep"}}, "benchmarks.habits")
    train(TrainJob(config=config, out=folder / model))
    return evaluate(EvaluateJob(checkpoint=folder / model, test=folder / "later.parquet", k=(10,)))


def told(name: str, value: Estimate) -> str:
    """One line of the table."""
    return f"    {name:<10}{value.mean:.3f}  [{value.low:.3f}, {value.high:.3f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=["hybrid", "gated", "als", "bpr"])
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    rows = purchases(options.folder)
    edge = rows.timestamp.max() - options.days * DAY
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows[rows.timestamp < edge].to_parquet(folder / "known.parquet")
        rows[rows.timestamp >= edge].to_parquet(folder / "later.parquet")
        pd.read_parquet(options.folder / "items.parquet")[["item_id", "title", "price"]].to_parquet(
            folder / "items.parquet"
        )
        beside: dict[str, Estimate] = {}
        for model in options.models:
            found = judged(model, folder).results
            beside[model] = found["model"]["all"].metrics["ndcg@10"]
            others = {name: one["all"].metrics["ndcg@10"] for name, one in found.items() if name != "model"}
            beside = others | beside
        for lister in sorted(beside, key=lambda one: -beside[one].mean):
            sys.stdout.write(told(lister, beside[lister]) + "\n")


if __name__ == "__main__":
    main()
