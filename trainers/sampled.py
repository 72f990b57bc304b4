"""The protocol of many papers, for comparison with them alone: each held-out item against a few that are drawn.

It says little of full ranking and can reverse the order of two models (Krichene and Rendle 2020, On Sampled Metrics for
Item Recommendation, KDD), so nothing else here is decided by it.
"""

import numpy as np
import torch

from rec_export.data.columns import Int64
from rec_export.held_out import HeldOut
from rec_export.metrics import Float64
from rec_export.progress import track
from rec_export.scorer import Scorer, chunks
from trainers.listers import Lister

USERS_AT_ONCE = 64


def sampled_metrics(
    lister: Lister, scorer: Scorer, held_out: HeldOut, negatives: int, ks: tuple[int, ...], name: str
) -> dict[str, float]:
    """HR@k and NDCG@k over held-out pairs, each among `negatives` items that its user has neither met nor liked later.

    The drawn items are the same for every lister, and so is the luck among equal scores. Held-out items that are not in
    the catalogue rank last.
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
        ranks.append(ranks_among(scores, owner, target, drawn, rng.random(len(owner))))
    rank = np.concatenate(ranks)
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
    """Uniform draws for each pair of users `part` from what the user has not met or liked, int64 [pairs, negatives].

    They are drawn with replacement.
    """
    items = held_out.timeline.items
    taken = np.zeros((len(part), items), bool)
    seen = scorer.seen(held_out.user[part], False)
    taken[np.repeat(np.arange(len(part)), np.diff(seen.start)), seen.item_row] = True
    inside = target < items
    taken[owner[inside], target[inside]] = True
    free = np.argsort(taken, axis=1, kind="stable")  # the items that may be drawn come first
    count = items - taken.sum(1)
    place = (rng.random((len(owner), negatives)) * count[owner][:, None]).astype(np.int64)
    return free[owner[:, None], place]


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
