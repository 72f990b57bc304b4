"""Popularity lists by half-life, held against what users liked next in the windows of the recent past."""

from typing import NamedTuple

import numpy as np

from rec_export.by_user import ragged
from rec_export.data.clock import Clock
from rec_export.data.columns import Int64
from rec_export.data.times import DAY
from rec_export.metrics import Float64, Targets, hits, per_user
from rec_export.progress import track
from rec_export.world import Timeline, World

WINDOWS = 12
USERS = 1000  # of each window
K = 10


class Contest(NamedTuple):
    """NDCG@10 of several lists of the same users, float64 [users, W]."""

    scores: Float64

    def best(self) -> int:
        """The list that did best."""
        return int(self.scores.mean(0).argmax())

    def beats(self, one: int, other: int) -> bool:
        """Whether a list is clearly better than another: by 5% and by three standard errors."""
        gain = self.scores[:, one] - self.scores[:, other]
        error = gain.std() / max(len(gain), 1) ** 0.5
        return bool(gain.mean() > 0.05 * self.scores[:, other].mean() and gain.mean() > 3 * error)


def popularity_contest(timeline: Timeline, clock: Clock) -> Contest:
    """How well the lists of each trend column told what users with a past liked next, over the last windows."""
    rng = np.random.default_rng(0)
    rows = []
    for back in track(range(1, WINDOWS + 1), WINDOWS, "comparing popularity lists", logged=False):
        date = timeline.end - int(back * clock.horizon * DAY)
        world = timeline.as_of(date, clock)
        user, targets = window_targets(timeline, world, date + int(clock.horizon * DAY), rng)
        if len(user):
            rows.append(contest_window(world, user, targets))
    columns = len(clock.half_lives) + 1
    return Contest(np.concatenate(rows) if rows else np.zeros((0, columns)))


def window_targets(timeline: Timeline, world: World, stop: int, rng: np.random.Generator) -> tuple[Int64, Targets]:
    """Some users with a past who liked something new in the window that follows, and what."""
    until = timeline.before(stop)
    user = np.flatnonzero((until > world.stop) & (world.stop > timeline.start[:-1]))
    user = np.sort(rng.permutation(user)[:USERS])
    liked = ragged(world.stop[user], until[user])
    return user, Targets(liked.owner, timeline.item(liked.place))


def contest_window(world: World, user: Int64, targets: Targets) -> Float64:
    """NDCG@10 of each user by trend column, float64 [B, columns]; what users have seen is left out of their lists."""
    timeline = world.timeline
    past = ragged(timeline.start[user], world.stop[user])
    trend = world.trend()
    columns = []
    for column in range(len(world.clock.half_lives) + 1):
        top = np.argsort(-trend[:, column], kind="stable")[: 20 * K]
        place = np.full(timeline.items, -1)
        place[top] = np.arange(len(top))
        order = np.tile(np.arange(len(top)), (len(user), 1))
        seen = place[timeline.item_row[past.place]]
        order[past.owner[seen >= 0], seen[seen >= 0]] = len(top) + 1
        lists = top[np.argsort(order, axis=1, kind="stable")[:, :K]]
        columns.append(per_user(hits(lists, targets, timeline.items), targets.counts(len(user)), K)["ndcg"])
    return np.stack(columns, axis=1)
