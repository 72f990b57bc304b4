"""Whether what a user liked lately tells more of what comes next than what the user liked long ago.

Popularity may stand still while tastes move on: a series is read volume by volume, a scene is heard for some months.
Neighbours of items (Sarwar et al. 2001, Item-based Collaborative Filtering; cosine, drawn to nothing by SHRINK users)
tell the newest rows once from all of a history alike, and once from one whose older items weigh less.
"""

from typing import TYPE_CHECKING

import numpy as np

from rec_export.by_user import ragged
from rec_export.data.clock import Clock
from rec_export.data.columns import Float32, Int64
from rec_export.data.vocab import UNKNOWN
from rec_export.metrics import Float64, hits, per_user
from rec_export.world import Timeline, World
from trainers.contest import Contest, K, window_targets

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEWEST = 0.1  # of all events, which are told
HALVES = (2, 5, 15)  # items of a history, over which its weights halve
ITEMS, PEERS, LATEST = 3000, 50_000, 200  # the most liked items; users who tell which are near; items of each of them
SHRINK = 20.0


def order_tells(timeline: Timeline) -> bool:
    """Whether neighbours of what was liked lately foretell clearly more than those of all that was liked."""
    contest = order_contest(timeline)
    return len(contest.scores) > 0 and contest.beats(contest.best(), 0)


def order_contest(timeline: Timeline) -> Contest:
    """NDCG@10 of the neighbours of all that was liked (column 0), and of what weighs less by HALVES."""
    assert timeline.event_time is not None
    rng, date = np.random.default_rng(0), int(timeline.event_time[int((1 - NEWEST) * len(timeline.event_time))])
    world = timeline.as_of(date, Clock())
    user, targets = window_targets(timeline, world, timeline.end, rng)
    if len(user) == 0:
        return Contest(np.zeros((0, 1 + len(HALVES))))
    peer = np.sort(rng.permutation(np.flatnonzero(world.stop > timeline.start[:-1]))[:PEERS])
    known = ragged(timeline.start[peer], world.stop[peer])
    count = np.bincount(timeline.item(known.place), minlength=timeline.items)
    item = np.argsort(-count, kind="stable")[:ITEMS]
    near = nearness(weighed(world, peer, item, None))
    seen = weighed(world, user, item, None, most=None).astype(bool).toarray()
    columns: list[Float64] = []
    for half in (None, *HALVES):
        score = weighed(world, user, item, half, most=None) @ near
        score[seen] = -np.inf
        best = np.argpartition(-score, min(K, len(item) - 1), axis=1)[:, :K]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(score, best, 1), axis=1, kind="stable"), 1)
        lists = np.where(np.take_along_axis(score, best, 1) > 0, item[best], UNKNOWN)
        columns.append(per_user(hits(lists, targets, timeline.items), targets.counts(len(user)), K)["ndcg"])
    return Contest(np.stack(columns, axis=1))


def weighed(world: World, user: Int64, item: Int64, half: int | None, most: int | None = LATEST) -> "csr_matrix":
    """What users [B] liked before the date, of some items [N], float32 [B, N]: 1, or halved for every `half` items
    that were liked later; the `most` latest of each.
    """
    from scipy.sparse import csr_matrix  # here, as logs without time do without

    timeline, stop = world.timeline, world.stop[user]
    first = timeline.start[user] if most is None else np.maximum(timeline.start[user], stop - most)
    liked = ragged(first, stop)
    place = np.full(timeline.items, UNKNOWN)
    place[item] = np.arange(len(item))
    column = place[timeline.item(liked.place)]
    later = stop[liked.owner] - 1 - liked.place
    weight = np.ones(len(later), np.float32) if half is None else 0.5 ** (later / half)
    there = column != UNKNOWN
    cells = weight[there].astype(np.float32), (liked.owner[there], column[there])
    return csr_matrix(cells, (len(user), len(item)))


def nearness(liked: "csr_matrix") -> Float32:
    """The shrunk cosine of each two items, 0 of one with itself, from who liked what: float32 [U, N] -> [N, N]."""
    both = (liked.T @ liked).toarray()
    count = both.diagonal().copy()
    np.fill_diagonal(both, 0)
    cosine: Float32 = both / (np.sqrt(np.outer(count, count)) + SHRINK)
    return cosine
