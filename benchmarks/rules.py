"""What business rules and habits cost: the time of top-K with one over that without, interleaved in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.rules [--users 1024] [--items 160000] [--rounds 5]
        [--bundle DIR --interactions LOG --table ITEMS --caps brand category]

The least of the rounds each, in processor time with one thread, of the clock with more. Without a bundle vectors are
Gaussian and kinds made up: 3,000 brands and 500 categories, the sizes of which fall as 1 / rank.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see docs/decisions.md

import numpy as np
import torch
from torch import Tensor

from batch_jobs.job import ScoreJob
from batch_jobs.rule_files import caps_of, columns_of
from batch_jobs.today import look
from rec_export.bundle import Bundle
from rec_export.policy import Policy
from rec_export.rules import Rules
from rec_export.scorer import Model, Scorer, chunks
from rec_export.sets import distinct
from rec_export.topk.caps import Caps
from rec_export.topk.contract import Added, Allowed, Listed, Seen
from rec_export.topk.mmr import Diversity
from rec_export.topk.ruled import RuledRanker
from rec_export.towers import DotHead, Head

WIDTH = 64
OWN = 20  # items on a list of a user
TASTES = 20  # directions in which items lie: kinds of one column, such that most of a user's best items are of one
Way = Callable[[], Listed]


class Case(NamedTuple):
    """float32 [B, D], float32 [N, D], what each user has seen, and the kinds of the items."""

    head: Head
    user_vec: Tensor
    item_vec: Tensor
    seen: Seen
    caps: Caps


def made(users: int, items: int) -> Case:
    """Gaussian vectors; 10 to 50 items are seen."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    kinds = []
    for many in (3000, 500):
        share = 1 / np.arange(1, many + 1)
        kinds.append(random.choice(many, items, p=share / share.sum()))
    caps = Caps(np.stack([kinds[0], 3000 + kinds[1]], axis=1), np.full(3500, 1))
    start = np.cumsum([0, *random.integers(10, 51, users)])
    seen = Seen(start, random.integers(0, items, start[-1]))
    return Case(DotHead(), torch.randn(users, WIDTH), torch.randn(items, WIDTH), seen, caps)


def trained(bundle: Path, interactions: Path, items: Path, columns: list[str], users: int) -> Case:
    """An exported bundle and today's items, as `rec-export score` would read them; `columns` are to be capped."""
    rules = Rules(caps=dict.fromkeys(columns, 1))
    job = ScoreJob(
        bundle=bundle, interactions=interactions, items=items, out=Path("none"), run_date=date.max, rules=rules
    )
    read = Bundle.read(bundle)
    data, today = read.manifest.blueprint.data, look(read, job)
    model = Model.of_bundle(read, read.manifest.formats[0], torch.device("cpu"))  # type: ignore[arg-type]
    scorer = Scorer(model, today.catalogue, today.world, today.eligible)
    caps = caps_of(rules.caps, columns_of(rules, job, data, today.catalogue.items.vocab), data).take(scorer.items)
    some = np.random.default_rng(0).permutation(today.users)[:users]
    user_vec = torch.cat([scorer.user_vectors(chunk) for chunk in chunks(some)])
    item_vec = scorer.item_vectors(torch.from_numpy(today.world.trend_for_lists()))
    return Case(model.head, user_vec, item_vec, scorer.seen(some, keep_seen=False), caps)


def with_limits(caps: Caps, *limits: int) -> Caps:
    """The first columns of kinds, with so many items of each."""
    limit = caps.limit.copy()
    for column, most in enumerate(limits):
        kind = caps.kind[:, column]
        limit[kind[kind >= 0]] = most
    return Caps(caps.kind[:, : len(limits)], limit)


def ways(case: Case, k: int) -> dict[str, Way]:
    """Top-K without rules, and under one rule each."""
    head, user_vec, item_vec, seen, caps = case
    users, items = len(user_vec), len(item_vec)
    random = np.random.default_rng(1)

    def ruled(
        rows: Tensor = item_vec, hidden: Seen = seen, allowed: Allowed | None = None, added: Added | None = None,
        **rules: object,
    ) -> Way:  # fmt: skip
        ranker = RuledRanker(head, rows, **rules)  # type: ignore[arg-type]
        return lambda: ranker.top_k(user_vec, k, hidden, allowed, added)

    def liked(many: int) -> Way:
        """Something is added to the scores of so many items of each user, and nothing is hidden."""
        pair = distinct(np.repeat(np.arange(users), many) * items + random.integers(0, items, users * many))
        term = random.normal(3, 1, len(pair)).astype(np.float32)
        return ruled(hidden=Seen.none(users), added=Added(Seen.of(pair // items, pair % items, users), term))

    own = Seen(np.arange(0, users * OWN + 1, OWN), random.integers(0, items, users * OWN))
    few = random.random(users) < 0.1
    some = Seen.of(own.user()[few[own.user()]], own.item_row[few[own.user()]], users)
    kept = np.sort(random.permutation(items)[: items * 19 // 20])
    place = np.full(items, -1)
    place[kept] = np.arange(len(kept))
    there = place[seen.item_row] >= 0
    left = Seen.of(seen.user()[there], place[seen.item_row[there]], users)
    taste = (item_vec @ torch.randn(item_vec.shape[1], TASTES)).argmax(1).numpy()  # a user's best are of few of them
    penalty = Policy(popularity_penalty=0.1).penalty(random.zipf(1.5, items).clip(0, 10_000))
    return {
        "none": ruled(),
        "deny 5 % of the items": ruled(item_vec[torch.from_numpy(kept)], left),
        f"deny_by_user, {OWN} each": ruled(hidden=seen.plus(own)),
        f"allow_by_user, {OWN} for 10 %": ruled(allowed=Allowed(few, some)),
        "caps: 5 of a brand": ruled(caps=with_limits(caps, 5)),
        "caps: 1 of a brand": ruled(caps=with_limits(caps, 1)),
        "caps: 2 of a brand, 5 of a category": ruled(caps=with_limits(caps, 2, 5)),
        f"caps: 2 of one of {TASTES} tastes": ruled(caps=Caps(taste[:, None], np.full(TASTES, 2))),
        "popularity_penalty": ruled(penalty=penalty),
        "diversity, from 5 k": ruled(diversity=Diversity(0.7, 5)),
        **{f"habits: {many} items of each user": liked(many) for many in (50, 500)},
    }


@torch.inference_mode()
def measured(case: Case, k: int, rounds: int) -> dict[str, tuple[float, int]]:
    """The least seconds of each way, and how many items caps or diversity changed."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    todo = ways(case, k)
    least, changed = dict.fromkeys(todo, np.inf), dict.fromkeys(todo, 0)
    for number in range(rounds + 1):  # the first round compiles and prepares, and is not counted
        for name, way in todo.items():
            began = clock()
            lists = way()
            if number:
                least[name] = min(least[name], clock() - began)
            changed[name] = int(lists.capped.sum() + lists.varied.sum())
    return {name: (least[name], changed[name]) for name in todo}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--items", type=int, default=160_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--interactions", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--caps", nargs=2, default=["brand", "category"])
    options = parser.parse_args()
    case = made(options.users, options.items)
    if options.bundle is not None:
        case = trained(options.bundle, options.interactions, options.table, options.caps, options.users)
    users, found = len(case.user_vec), {k: measured(case, k, options.rounds) for k in (10, 100)}
    sys.stdout.write(f"{f'{users:,} users x {len(case.item_vec):,} items':<38}      k 10           k 100\n")
    sys.stdout.write(f"{'':<38}{'cost   changed' * 2:>14}\n".replace("changedcost", "changed    cost"))
    for name in found[10]:
        columns = [f"{s / found[k]['none'][0]:>7.2f}x {n / users / k:>7.1%}" for k, (s, n) in
                   ((k, found[k][name]) for k in (10, 100))]  # fmt: skip
        sys.stdout.write(f"{name:<36}{'  '.join(columns)}\n")


if __name__ == "__main__":
    main()
