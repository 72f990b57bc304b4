"""A shallow auto-encoder beside a model, found in closed form, and how much of it is added.

EASE (Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, arXiv:1905.03375) weighs what goes with what by
the inverse of X'X + RIDGE, X being who liked what. Of X'X only the RANK largest directions are kept (low rank as in Jin
et al. 2021, Towards a Better Understanding of Linear Models for Recommendation, arXiv:2105.12937), so that a score is a
dot product. How much of it is added is what makes held-out likings likeliest; docs/decisions.md has the figures.
"""

import logging
from typing import NamedTuple, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from rec_export.by_user import ragged
from rec_export.checkpoint import modules
from rec_export.config import Training
from rec_export.data.columns import Int64
from rec_export.ensemble import Linear, ensemble
from rec_export.metrics import Float64, gain
from rec_export.progress import passed
from rec_export.shallow import Shallow
from rec_export.topk import Seen
from rec_export.towers import DotHead, ModelSpec, Towers
from rec_export.world import Timeline
from trainers.batches import Device
from trainers.dataset import Dataset
from trainers.plan import Plan
from trainers.ready import Ready
from trainers.validation import ListValidation

log = logging.getLogger("rec_export")
RANK, RIDGE = 64, 100.0  # directions; users
PEERS = 50_000  # users at most who tell what goes with what
HALF = 50.0  # items over which a weight halves, where time is looked at
USERS = 800  # of those held out at most, who tell how much of it is added
BEST, SAMPLE = 500, 1000  # items of a user: by either score, and for the rest
NUMBERS = 1 << 22  # scores of a model at once
LEAST = 0.06  # of the model's spread, where time is looked at: what days to come tell too little of
MEAN = 0.6  # of what suits one model suits the mean of several
BEARABLE = 0.9  # of the metric without it must be left


def learned(shallow: Shallow, timeline: Timeline, items: int) -> Towers:
    """The towers whose tables tell what goes with what, of the first `items` items, from all likings."""
    from sklearn.utils.extmath import randomized_svd  # here, as it takes a second to load

    towers = shallow.build(items)
    peer = np.flatnonzero(np.diff(timeline.start) > 0)
    peer = np.sort(np.random.default_rng(0).permutation(peer)[:PEERS])
    liked = ragged(timeline.start[peer], timeline.start[peer + 1])
    cells = np.ones(len(liked.place), np.float32), (liked.owner, timeline.item(liked.place))
    who = sparse.csr_matrix(cells, (len(peer), items))
    _, size, across = randomized_svd(who, min(shallow.rank, *who.shape), n_iter=4, random_state=0)
    kept = size**2 / (size**2 + RIDGE)
    reads = (across * kept[:, None]).T
    says = across.T / np.maximum(1 - (across**2 * kept[:, None]).sum(0), 1e-6)[:, None]
    for tower, name, numbers in ((towers.user_tower, "reads", reads), (towers.item_tower, "says", says)):
        tower.get_buffer(name)[:items, : len(size)] = torch.from_numpy(numbers)
    modules(towers).eval()
    return towers


def linear_of(shallow: Shallow | None, dataset: Dataset) -> Linear | None:
    """A shallow auto-encoder with what is learned from a dataset, if there is to be one."""
    if shallow is None:
        return None
    return Linear(learned(shallow, dataset.timeline, dataset.catalogue.items.trained), shallow)


def is_added(training: Training, spec: ModelSpec, made: Ready) -> bool:
    """Whether a shallow auto-encoder may stand beside a model; where it is asked for and cannot, a line says so."""
    if not (spec.shallow and training.shallow):
        return False
    if made.validation is None:
        log.info("no shallow auto-encoder is added (training.shallow): no held-out liking tells how much of it")
    elif not isinstance(made.course.towers.pair_head, DotHead):
        log.info("no shallow auto-encoder is added (training.shallow): the model's head is no dot product")
    else:
        return True
    return False


def competing(score: Tensor, seen: Seen, chosen: tuple[Int64, Int64]) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs of B users and new items that a choice is told from, by scores float32 [2, B, N]: what was chosen and
    the best by either score one by one, and a sample that stands for the rest.

    -> user int64 [P], ascending; item int64 [P]; float64 [P], the logarithm of how many items each stands for.
    """
    items = score.shape[2]
    new = torch.ones(score.shape[1:], dtype=torch.bool)
    new[seen.user(), seen.item_row] = False
    sure, drawn = torch.zeros_like(new), torch.zeros_like(new)
    for one in score:
        sure.scatter_(1, torch.topk(one.masked_fill(~new, -torch.inf), min(BEST, items)).indices, True)
    sure[chosen[0], chosen[1]] = True
    sure &= new
    drawn[:, np.random.default_rng(0).permutation(items)[:SAMPLE]] = True
    rest = new & ~sure
    drawn &= rest
    left = (rest.sum(1) / drawn.sum(1).clamp(min=1)).double().log()
    user, item = torch.nonzero(sure | drawn, as_tuple=True)
    return user, item, torch.where(sure[user, item], 0.0, left[user])


class Chances(NamedTuple):
    """What U users might have chosen, P pairs of a user and an item, and T choices, by the scores of the model and of
    the other one.

    owner int64 [P], ascending; both float64 [2, P]; stands float64 [P]: the logarithm of how many items one stands for.
    chosen int64 [T]: users; theirs float64 [2, T].
    """

    owner: Tensor
    both: Tensor
    stands: Tensor
    chosen: Tensor
    theirs: Tensor
    spread: Float64  # [2] of the scores of all items of a user, the mean over users

    @classmethod
    @torch.no_grad()
    def of(cls, lists: ListValidation, model: Towers, other: Towers, state: Device) -> Self:
        """From some of the lists' users and their targets."""
        scorers = [lists.scores(towers, state) for towers in (model, other)]
        items, targets = lists.dataset.catalogue.items.trained, lists.targets
        place = np.sort(np.random.default_rng(0).permutation(len(lists.user))[:USERS])
        start = np.searchsorted(targets.user, np.append(place, len(lists.user)))
        chosen = ragged(start[:-1], start[:-1] + targets.counts(len(lists.user))[place])
        at_once = max(1, min(lists.at_once, NUMBERS // items))
        parts, spread = [], []
        for at in range(0, len(place), at_once):
            user = lists.user[place[at : at + at_once]]
            mine = (chosen.owner >= at) & (chosen.owner < at + len(user))
            owner, row = chosen.owner[mine] - at, targets.item_row[chosen.place[mine]]
            score = torch.stack([scorer(user) for scorer in scorers])
            spread.append(score.std(2).numpy())
            pair_user, pair_item, stands = competing(score, lists.seen(user), (owner, row))
            both, theirs = score[:, pair_user, pair_item].double(), score[:, owner, row].double()
            parts.append((pair_user + at, both, stands, torch.from_numpy(owner + at), theirs))
        owners, both, stands, users, theirs = (torch.cat(column, -1) for column in zip(*parts, strict=True))
        return cls(owners, both, stands, users, theirs, np.concatenate(spread, axis=1).mean(1))

    def loss(self, weights: Tensor) -> Tensor:
        """The mean over users of their choices' mean surprise, where a score is the sum by weights [2]."""
        count = torch.bincount(self.chosen)
        value = weights @ self.both + self.stands
        top = value.new_full([len(count)], -torch.inf).scatter_reduce(0, self.owner, value.detach(), "amax")
        whole = top + torch.zeros_like(top).index_add(0, self.owner, (value - top[self.owner]).exp()).log()
        surprise = whole[self.chosen] - weights @ self.theirs
        return (surprise / count[self.chosen]).sum() / len(count)

    def likeliest(self) -> float:
        """How much of the other one is added to the model: what makes the choices likeliest, but nothing below 0."""
        from scipy.optimize import minimize  # here, as no other training needs it

        unit = torch.from_numpy(np.where(self.spread > 0, self.spread, 1.0))  # so the search begins near its end

        def surprise(at: Float64) -> tuple[float, Float64]:
            weights = torch.tensor(at, requires_grad=True)
            loss = self.loss(weights / unit)
            loss.backward()
            assert weights.grad is not None
            return loss.item(), weights.grad.numpy()

        found = minimize(surprise, np.array([1.0, 0.1]), jac=True, method="L-BFGS-B", bounds=[(0.01, 100), (0, 100)]).x
        return float(found[1] / found[0] * unit[0] / unit[1])


@torch.no_grad()
def added(model: Towers, lists: ListValidation, plan: Plan, state: Device) -> tuple[Shallow | None, dict[str, float]]:
    """The shallow auto-encoder that is to be added to towers, if any, and the metrics with it; the towers are on the
    CPU before and afterwards.

    One of several models gets less than would suit it alone, as their mean errs less. Where time is looked at, the
    held-out rows are of the days to come, which tell little of what goes together at all times; there it is added at
    LEAST, unless that costs too much.
    """
    ordered = lists.world.clock.timed
    tables = Shallow(rank=RANK, half=HALF if ordered else None, share=1.0)
    other = learned(tables, lists.dataset.timeline, lists.dataset.catalogue.items.trained)
    for towers in (model, other):
        modules(towers).to(state.device).eval()
    chances = Chances.of(lists, model, other, state)
    passed()
    with torch.enable_grad():
        share = chances.likeliest()
    share *= MEAN if plan.seeds > 1 else 1.0
    if ordered and chances.spread[1] > 0:
        share = max(share, LEAST * float(chances.spread[0] / chances.spread[1]))
    passed()
    share = float(f"{share:.6g}")
    alone = lists.measure(model, state)
    both = alone if share == 0 else lists.measure(ensemble([model], None, Linear(other, tables.at(share))), state)
    modules(model).cpu()
    if share == 0:
        log.info("no shallow auto-encoder is added (training.shallow): it makes no held-out liking likelier")
        return None, alone
    metric = plan.metric
    borne = gain(metric, both[metric]) >= gain(metric, alone[metric]) - (1 - BEARABLE) * abs(alone[metric])
    told = "is added at %.3g" if borne else "would cost too much at %.3g, so none is added"
    log.info(f"a shallow auto-encoder {told} (training.shallow): {metric} %.4f, without %.4f", share, both[metric],
             alone[metric])  # fmt: skip
    return (tables.at(share), both) if borne else (None, alone)
