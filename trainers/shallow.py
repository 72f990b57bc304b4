"""A shallow auto-encoder beside a model, found in closed form, and how much of it is added.

EASE (Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, arXiv:1905.03375) weighs what goes with what by
the inverse of X'X + RIDGE, X being who liked what. Of X'X only the RANK largest directions are kept (low rank as in Jin
et al. 2021, Towards a Better Understanding of Linear Models for Recommendation, arXiv:2105.12937), so that a score is a
dot product. How much of it is added is what makes held-out likings likeliest; docs/decisions.md has the figures.
"""

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch

from rec_export.by_user import ragged
from rec_export.checkpoint import modules
from rec_export.config import Training
from rec_export.data.columns import Float32
from rec_export.ensemble import Linear, ensemble
from rec_export.metrics import gain
from rec_export.progress import passed
from rec_export.shallow import Shallow
from rec_export.towers import DotHead, ModelSpec, Towers
from rec_export.words import added_at
from rec_export.world import Timeline
from trainers.batches import Device
from trainers.chances import Chances
from trainers.dataset import Dataset
from trainers.plan import Plan
from trainers.ready import Ready
from trainers.validation import ListValidation

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

log = logging.getLogger("rec_export")
RANK, RIDGE = 64, 100.0  # directions; users
PEERS = 50_000  # users at most who tell what goes with what
HALF = 50.0  # items over which a weight halves, where time is looked at
LEAST = 0.06  # of the model's spread, where time is looked at: what days to come tell too little of
MEAN = 0.6  # of what suits one model suits the mean of several
BEARABLE = 0.9  # of the metric without it must be left


def learned(shallow: Shallow, timeline: Timeline, items: int) -> Towers:
    """The towers whose tables tell what goes with what, of the first `items` items, from all likings."""
    from scipy.sparse import csr_matrix  # here, as some models do without

    towers = shallow.build(items)
    peer = np.flatnonzero(np.diff(timeline.start) > 0)
    peer = np.sort(np.random.default_rng(0).permutation(peer)[:PEERS])
    liked = ragged(timeline.start[peer], timeline.start[peer + 1])
    rows = np.ones(len(liked.place), np.float32), timeline.item(liked.place), liked.start
    size, across = directions(csr_matrix(rows, (len(peer), items)), shallow.rank)
    kept = size**2 / (size**2 + RIDGE)
    reads = (across * kept[:, None]).T
    says = across.T / np.maximum(1 - (across**2 * kept[:, None]).sum(0), 1e-6)[:, None]
    for tower, name, numbers in ((towers.user_tower, "reads", reads), (towers.item_tower, "says", says)):
        tower.get_buffer(name)[:items, : len(size)] = torch.from_numpy(numbers)
    modules(towers).eval()
    return towers


def directions(who: "csr_matrix", rank: int) -> tuple[Float32, Float32]:
    """The largest singular values of a float32 matrix [U, N], [R] with R at most `rank`, and their vectors [R, N]."""
    from scipy.sparse.linalg import svds

    if rank < min(who.shape):
        _, size, across = svds(who, rank, rng=0)
    else:  # all of them, which the other does not find
        _, size, across = np.linalg.svd(who.toarray(), full_matrices=False)
    return size, across


def linear_of(shallow: Shallow | None, dataset: Dataset) -> Linear | None:
    """A shallow auto-encoder with what is learned from a dataset, if there is to be one."""
    if shallow is None:
        return None
    return Linear(learned(shallow, dataset.timeline, dataset.catalogue.items.trained), shallow)


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


def amount(chances: Chances, seeds: int, least: float) -> tuple[float, float | None]:
    """How much of the second score is added to the first one, and the spread of that over the first one's: `least` at
    least, or None where the first has none.

    One of several models gets less than would suit it alone, as their mean errs less.
    """
    whole, more = chances.likeliest()
    share = float(more / whole) * (MEAN if seeds > 1 else 1.0)
    model, other = chances.spread.double().mean(1).tolist()
    share = max(share, least * model / other) if other > 0 else share
    share = float(f"{share:.6g}")
    return share, float(f"{share * other / model:.3g}") if model > 0 else None


@torch.no_grad()
def added(model: Towers, lists: ListValidation, plan: Plan, state: Device) -> tuple[Linear | None, dict[str, float]]:
    """The shallow auto-encoder that is to be added to towers, if any, and the metrics with it; all are on the CPU
    afterwards.

    Where time is looked at, the held-out rows are of the days to come, which tell little of what goes together at all
    times; there it is added at LEAST, unless that costs too much.
    """
    ordered = lists.world.clock.timed
    tables = Shallow(rank=RANK, half=HALF if ordered else None, share=1.0)
    other = learned(tables, lists.dataset.timeline, lists.dataset.catalogue.items.trained)
    for towers in (model, other):
        modules(towers).to(state.device).eval()
    scores = [lists.scores(towers, state) for towers in (model, other)]
    share, part = amount(Chances.of(lists, scores), plan.seeds, LEAST if ordered else 0.0)
    del scores  # and with them the vectors of all items
    passed(2)
    alone, linear = lists.measure(model, state), None
    both = alone
    if share > 0:
        linear = Linear(other, tables.at(share, part))
        both = lists.measure(ensemble([model], None, linear), state)
    for towers in (model, other):
        modules(towers).cpu()
    if linear is None:
        log.info("no shallow auto-encoder is added (training.shallow): it makes no held-out liking likelier")
        return None, alone
    metric = plan.metric
    borne = gain(metric, both[metric]) >= gain(metric, alone[metric]) - (1 - BEARABLE) * abs(alone[metric])
    told = "is added at %s" if borne else "would cost too much at %s, so none is added"
    log.info(f"a shallow auto-encoder (training.shallow) {told}: {metric} %.4f, without %.4f", added_at(share, part),
             both[metric], alone[metric])  # fmt: skip
    return (linear, both) if borne else (None, alone)
