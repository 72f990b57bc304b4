"""Two runs of lists side by side: who is in both, how much of the lists stayed, which items came and went."""

from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa

from rec_export.churn import Churn, Moved, churn
from rec_export.config import Config
from rec_export.data.log import different_pairs, read_events, select
from rec_export.lists import plain
from rec_export.record import Record
from rec_export.run_lists import Run

LENGTHS = {"<=3": (0, 3), "4-10": (4, 10), "11-30": (11, 30), ">30": (31, 2**62)}  # items liked


@final
class DiffJob(Record):
    """Two runs, and a configuration that names the log, if lists are to be told apart by the length of histories."""

    before: Path
    after: Path
    config: Path | None = None


def run(job: DiffJob) -> Churn:
    """Compare. Raises MissingInputError or DataError where a run is not there or damaged."""
    kinds = {} if job.config is None else by_length(Config.load(job.config))
    return churn(Run.at(job.before), Run.at(job.after), kinds)


def by_length(config: Config) -> dict[str, pa.Array]:
    """The users of the log by how many different items they have liked."""
    events = read_events(config.data.interactions)
    pairs = different_pairs(select(events, events.positive))
    liked = np.bincount(pairs // len(events.item_id.ids), minlength=len(events.user_id.ids))
    there = events.user_id.counts() > 0
    return {
        f"liked {name}": events.user_id.ids.filter(pa.array(there & (liked >= low) & (liked <= high)))
        for name, (low, high) in LENGTHS.items()
    }


def lines(diff: Churn) -> Iterator[str]:
    """For a terminal."""
    told = zip(("before", "after"), (diff.before, diff.after), diff.k, diff.items, diff.rules, strict=True)
    for name, label, k, items, rules in told:
        yield f"{name:<8}{label}, lists of {k}, {items:,} different items"
        if any(diff.rules):
            yield f"        rules: {rules or 'none'}"
    sample = " (a sample of users, the same of both)" if diff.sampled else ""
    yield f"users   {diff.both:,} in both, {diff.left:,} before alone, {diff.came:,} after alone{sample}"
    yield ""
    width = max(len(name) for name in diff.segments)
    yield f"{'users':<{width}}  {'how many':>10}  {'items kept':>10}  {'rank-biased overlap':>19}  {'same list':>9}"
    for name, one in diff.segments.items():
        yield f"{name:<{width}}  {one.users:>10,}  {one.overlap:>10.1%}  {one.rbo:>19.4f}  {one.same:>9.1%}"
    if diff.both:
        yield from ("", *movers("items that enter most lists", "larger", diff.entering))
        yield from ("", *movers("items that leave most lists", "smaller", diff.leaving))
    yield ""
    yield "items that begin most lists (share of lists before -> after)"
    yield from (shares(item) for item in diff.first)
    yield ""
    yield f"{'scores':<8}" + "".join(f"{f'{level:.0%}':>10}" for level in diff.levels)
    for name, values in zip(("before", "after"), diff.scores, strict=True):
        yield f"{name:<8}" + ("".join(f"{value:>10.4g}" for value in values) or "no rows")
    index = (
        "" if diff.psi is None else f": population stability index {diff.psi:.4f} (0.1 and 0.25 are the usual marks)"
    )
    yield f"they {diff.moved()}{index}"


def movers(title: str, share: str, moved: tuple[Moved, ...]) -> Iterator[str]:
    """The items whose share of the lists grew, or shrank, most."""
    if not moved:
        yield f"no item is in a {share} share of the lists than before"
        return
    yield f"{title} (share of users before -> after)"
    yield from map(shares, moved)


def shares(item: Moved) -> str:
    """One item with its shares."""
    return f"  {plain(item.item):<48}  {item.before:>7.2%} -> {item.after:>7.2%}"
