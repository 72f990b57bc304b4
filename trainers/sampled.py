"""The protocol of many papers, for comparison with them alone: each held-out item against a few that are drawn.

It says little of full ranking and can reverse the order of two models (Krichene and Rendle 2020, On Sampled Metrics for
Item Recommendation, KDD), so nothing else here is decided by it.
"""

import numpy as np
import torch

from rec_export.data.columns import Int64
from rec_export.data.vocab import UNKNOWN
from rec_export.errors import UsageError
from rec_export.held_out import HeldOut
from rec_export.metrics import Float64
from rec_export.progress import track
from rec_export.scorer import Scorer, chunks
from rec_export.sets import distinct
from rec_export.topk import Seen
from trainers.listers import Lister
from trainers.unmet import unmet

USERS_AT_ONCE = 64


def sampled_metrics(
    lister: Lister, scorer: Scorer, held_out: HeldOut, negatives: int, ks: tuple[int, ...], name: str
) -> dict[str, float]:
    """HR@k and NDCG@k over held-out pairs, each among `negatives` items that its user has not liked later, and has not
    met, where lists hold none of that.

    The drawn items are the same for every lister, and so is the luck among equal scores. Held-out items that are not in
    the catalogue rank last; those of a user of whom nothing can be drawn are left out.
    """
    rng = np.random.default_rng(0)
    ranks = []
    user = np.arange(len(held_out.user))
    portions = list(chunks(user, USERS_AT_ONCE))
    for part in track(portions, len(portions), f"{name}, sampled"):
        assert lister.scores is not None
        scores = lister.scores(held_out.user[part])
        first, stop = np.searchsorted(held_out.targets.user, [part[0], part[-1] + 1])
        owner, target = held_out.targets.user[first:stop] - part[0], held_out.targets.item_row[first:stop]
        drawn = drawn_items(scorer, held_out, part, owner, target, negatives, rng)
        able = drawn[:, 0] != UNKNOWN
        owner, target, drawn = owner[able], target[able], drawn[able]
        ranks.append(ranks_among(scores, owner, target, drawn, rng.random(len(owner))))
    rank = np.concatenate(ranks)
    if len(rank) == 0:
        raise UsageError("--negatives: every judged user has met or liked every item, so none can be drawn")
    gain = {k: rank <= k for k in ks}
    return {f"hr@{k}": round(float(gain[k].mean()), 5) for k in ks} | {
        f"ndcg@{k}": round(float((gain[k] / np.log2(rank + 1)).mean()), 5) for k in ks
    }


def drawn_items(
    scorer: Scorer,
    held_out: HeldOut,
    part: Int64,
    owner: Int64,
    target: Int64,
    negatives: int,
    rng: np.random.Generator,
) -> Int64:
    """Uniform draws for each pair of users `part` from what may be listed and was not liked, int64 [pairs, negatives].

    They are drawn with replacement; UNKNOWN where nothing is left to be drawn.
    """
    items = held_out.timeline.items
    seen, inside = scorer.seen(held_out.user[part], held_out.again), target < items
    taken = seen.plus(Seen.of(owner[inside], target[inside], len(part)))
    luck = rng.random((len(owner), negatives))
    drawn = np.full(luck.shape, UNKNOWN)
    for pair, whose in enumerate(owner):
        met = distinct(taken.item_row[taken.start[whose] : taken.start[whose + 1]])
        if len(met) < items:
            drawn[pair] = unmet(met, (luck[pair] * (items - len(met))).astype(np.int64))
    return drawn


def ranks_among(scores: torch.Tensor, owner: Int64, target: Int64, drawn: Int64, luck: Float64) -> Int64:
    """The rank, from 1, of each pair's item among the drawn ones, int64 [pairs].

    Among those that score as much it has any place, by its luck from 0 to 1, float64 [pairs].
    """
    table = scores.numpy()
    inside = target < table.shape[1]
    own = np.where(inside, table[owner, np.where(inside, target, 0)], -np.inf)[:, None]
    others = table[owner[:, None], drawn]
    before = (luck * ((others == own).sum(1) + 1)).astype(np.int64)
    return 1 + (others > own).sum(1) + before
