"""Tables of items beside a model, and how much of each is added: what makes held-out likings likeliest.

A shallow auto-encoder (shallow.py) tells what goes with what; where time is looked at, what is liked soon after what
(following.py) tells more of who is in the middle of something. docs/decisions.md has the figures.
"""

import logging
from math import inf

import torch

from rec_export.checkpoint import modules
from rec_export.config import Training
from rec_export.ensemble import Linear, ensemble
from rec_export.metrics import Float64
from rec_export.progress import passed
from rec_export.shallow import Shallow
from rec_export.towers import DotHead, ModelSpec, Towers
from rec_export.words import TOLD, added_at, listed
from rec_export.world import Timeline
from trainers.batches import Device
from trainers.chances import Chances
from trainers.dataset import Dataset
from trainers.following import FOLLOWED, following_tables
from trainers.plan import Plan
from trainers.ready import Ready
from trainers.shallow import shallow_tables
from trainers.timeless import BORNE
from trainers.validation import ListValidation, means

log = logging.getLogger("rec_export")
RANK = 64  # directions of each
HALF = 50.0  # items over which the weight of a history halves for the auto-encoder, where time is looked at
LEAST = 0.06  # of the model's spread, where time is looked at: what days to come tell too little of
MOST = {"together": inf, "next": 0.12}  # of it, as few held-out likings may ask for far too much of what comes next
MEAN = 0.6  # of what suits one model suits the mean of several
BEARABLE = {"together": 0.1, "next": 0.01}  # of the metric they may cost, beside what chance may cost


def tables_of(timed: bool) -> tuple[Shallow, ...]:
    """The tables that may stand beside a model, which may look at time, each at a share of 1."""
    if not timed:
        return (Shallow(tells="together", rank=RANK, share=1.0),)
    return (
        Shallow(tells="together", rank=RANK, half=HALF, share=1.0),
        Shallow(tells="next", rank=RANK, half=FOLLOWED, share=1.0),
    )


def learned(shallow: Shallow, timeline: Timeline, items: int) -> Towers:
    """The towers with their tables, of the first `items` items, from all likings."""
    towers, learn = shallow.build(items), {"together": shallow_tables, "next": following_tables}[shallow.tells]
    found = learn(timeline, items, shallow.rank)
    for tower, name, numbers in zip(towers, ("reads", "says"), found, strict=False):
        tower.get_buffer(name)[:items, : numbers.shape[1]] = torch.from_numpy(numbers)
    modules(towers).eval()
    return towers


def linears_of(shallow: tuple[Shallow, ...], dataset: Dataset) -> list[Linear]:
    """Tables with what is learned from a dataset."""
    return [Linear(learned(one, dataset.timeline, dataset.catalogue.items.trained), one) for one in shallow]


def may_stand_beside(training: Training, spec: ModelSpec, made: Ready) -> bool:
    """Whether a shallow auto-encoder may be added to a model; where it is asked for and cannot, a line says so."""
    if not (spec.shallow and training.shallow):
        return False
    if not isinstance(made.validation, ListValidation):
        log.info("no shallow auto-encoder is added (training.shallow): no held-out liking tells how much of it")
    elif not isinstance(made.course.towers.pair_head, DotHead):
        log.info("no shallow auto-encoder is added (training.shallow): the model's head is no dot product")
    else:
        return True
    return False


def amounts(chances: Chances, seeds: int, bounds: list[tuple[float, float]]) -> list[tuple[float, float | None]]:
    """How much of each other score is added to the first one, and the spread of that over the first one's, which lies
    within bounds; None where the first has none.

    One of several models gets less than would suit it alone, as their mean errs less.
    """
    whole, *more = chances.likeliest().tolist()
    model, *others = chances.spread.double().mean(1).tolist()
    found = list[tuple[float, float | None]]()
    for weight, other, (least, most) in zip(more, others, bounds, strict=True):
        share = weight / whole * (MEAN if seeds > 1 else 1.0)
        share = min(max(share, least * model / other), most * model / other) if other > 0 else share
        share = float(f"{share:.6g}")
        found.append((share, float(f"{share * other / model:.3g}") if model > 0 else None))
    return found


@torch.no_grad()
def added(model: Towers, lists: ListValidation, plan: Plan, state: Device) -> tuple[list[Linear], dict[str, float]]:
    """The tables that are to be added to towers, and the metrics with them; all are on the CPU afterwards.

    Where time is looked at, the held-out rows are of the days to come, which tell little of what goes together at all
    times and of what comes right after; there each is added at LEAST, unless that costs too much.
    """
    timeline, items, timed = lists.dataset.timeline, lists.dataset.catalogue.items.trained, lists.world.clock.timed
    tables = tables_of(timed)
    others = [learned(one, timeline, items) for one in tables]
    for towers in (model, *others):
        modules(towers).to(state.device).eval()
    scores = [lists.scores(towers, state) for towers in (model, *others)]
    bounds = [(LEAST if timed else 0.0, MOST[one.tells]) for one in tables]
    shares = amounts(Chances.of(lists, scores), plan.seeds, bounds)
    del scores  # and with them the vectors of all items
    passed(2)
    given = zip(others, tables, shares, strict=True)
    linears = [Linear(towers, one.at(share, part)) for towers, one, (share, part) in given if share > 0]
    found = borne(model, linears, lists, plan.metric, state)
    for towers in (model, *others):
        modules(towers).cpu()
    return found


def borne(
    model: Towers, linears: list[Linear], lists: ListValidation, metric: str, state: Device
) -> tuple[list[Linear], dict[str, float]]:
    """As many of the tables, from the first on, as do not cost too much together, and the metrics with them."""
    alone = lists.by_user(lists.scores(model, state))
    if not linears:
        log.info("nothing is added (training.shallow): no table of items makes a held-out liking likelier")
    while linears:
        both = lists.by_user(lists.scores(ensemble([model], None, linears), state))
        dear = costs(alone[metric], both[metric], BEARABLE[linears[-1].shallow.tells])
        names = [f"{TOLD[one.tells]} at {added_at(one.share, one.spread)}" for _, one in linears]
        told = "not added (training.shallow), as it would cost too much" if dear else "added (training.shallow)"
        now, before = float(both[metric].mean()), float(alone[metric].mean())
        why = BORNE * (not dear and now < before)
        log.info("%s: %s: %s %.4f, without %.4f%s", listed(names), told, metric, now, before, why)
        if not dear:
            return linears, means(both)
        linears = linears[:-1]
    return [], means(alone)


def costs(without: Float64, tables: Float64, bearable: float) -> bool:
    """Whether tables cost more than is bearable, and that by more than one standard error, by a metric of U users."""
    loss = without - tables
    return float(loss.mean()) > bearable * float(without.mean()) + float(loss.std()) / len(loss) ** 0.5
