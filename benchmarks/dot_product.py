"""`rec-export bench` for the vectors of exported bundles whose head is a dot product, as `rec-export score` makes them.

    OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.dot_product [--users 1024] [--rounds 5]
        --bundle DIR --interactions LOG --items FILE [--bundle ...]

The ways and the columns are those of rec_export/bench: millions of user x item pairs a second, medians of interleaved
rounds, in seconds of processor time with one thread, as other processes disturb these least.
"""

import argparse
import os
import sys
from datetime import date
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import torch

from batch_jobs.job import ScoreJob
from batch_jobs.today import look
from rec_export.bench import table
from rec_export.bench.case import Case
from rec_export.bench.measure import report
from rec_export.bundle import Bundle
from rec_export.scorer import Model, Scorer, chunks
from rec_export.topk.ranker import CPU
from rec_export.towers import DotHead


@torch.inference_mode()
def trained(bundle: Path, interactions: Path, items: Path | None, users: int, k: int) -> Case:
    """The vectors of an exported bundle with a dot product."""
    job = ScoreJob(bundle=bundle, interactions=interactions, items=items, out=Path("none"), run_date=date.max)
    model = Bundle.read(bundle)
    today = look(model, job)
    towers = Model.of_bundle(model, "torchscript", torch.device("cpu"))
    scorer = Scorer(towers, today.catalogue, today.world, today.eligible)
    some = today.users[:users]
    user_vec = torch.cat([scorer.user_vectors(chunk) for chunk in chunks(some)])
    item_vec = scorer.item_vectors(torch.from_numpy(today.world.trend_for_lists()))
    return Case(f"trained k{k}", DotHead(), user_vec, item_vec, scorer.seen(some, keep_seen=False), k)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bundle", type=Path, action="append", required=True)
    parser.add_argument("--interactions", type=Path, action="append", required=True)
    parser.add_argument("--items", type=Path, action="append", required=True)
    options = parser.parse_args()
    files = zip(options.bundle, options.interactions, options.items, strict=True)
    cases = [partial(trained, *paths, options.users, k) for paths in files for k in (10, 100)]
    sys.stdout.write(f"{table.TITLE}\n")
    report(cases, options.rounds, lambda result: print(table.row(result), flush=True), CPU)  # noqa: T201


if __name__ == "__main__":
    main()
