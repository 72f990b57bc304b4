"""Examples are what was known at a date and what came next, weighed as asked."""

import numpy as np
import pytest

from rec_export.data.clock import Clock
from rec_export.data.log import Log
from rec_export.data.times import DAY
from rec_export.world import Timeline
from trainers import examples
from trainers.examples import Batch, Examples, Snapshots, examples_of, faded

USERS, ITEMS, ROWS, HORIZON = 30, 20, 900, 5.0
TIMED = Clock(horizon=HORIZON, half_lives=(2.0,))


def timeline() -> Timeline:
    """A made-up log of a hundred days; values are from 1 to 9."""
    rng = np.random.default_rng(5)
    log = Log(
        user_row=rng.integers(0, USERS, ROWS).astype(np.int32),
        item_row=rng.integers(0, ITEMS, ROWS).astype(np.int32),
        time=np.sort(rng.integers(0, 100 * DAY, ROWS)),
        value=rng.integers(1, 10, ROWS).astype(np.float32),
        positive=np.ones(ROWS, bool),
    )
    return Timeline.of(log, USERS, ITEMS)


def epoch(made: Examples) -> list[Batch]:
    """All batches of one epoch."""
    return list(made.batches(8, np.random.default_rng(0)))


def test_a_snapshot_weighs_half_for_each_half_life_of_its_age() -> None:
    made = examples_of(timeline(), TIMED, 5, recency=HORIZON / 2, by_value=False, snapshots=True)
    worth = {batch.moment: batch.worth for batch in epoch(made)}
    assert len(worth) > 3
    assert worth == {moment: pytest.approx(0.5**moment) for moment in worth}  # dates are half a horizon apart


def test_without_recency_all_snapshots_weigh_alike() -> None:
    made = examples_of(timeline(), TIMED, 5, recency=None, by_value=False, snapshots=True)
    assert {batch.worth for batch in epoch(made)} == {1.0}


def test_a_liking_in_a_bag_fades_by_half_lives_and_never_to_nothing() -> None:
    log = timeline()
    left = faded(log, recency=10.0)
    assert log.time is not None
    age = (log.end - log.time) / DAY
    np.testing.assert_allclose(left, 0.02 + 0.98 * 0.5 ** (age / 10), rtol=1e-12)
    (plain,), (weighed,) = (
        list(examples_of(log, TIMED, 5, recency, by_value=False, snapshots=False).batches(64, np.random.default_rng(0)))
        for recency in (None, 10.0)
    )
    place = {(user, item): n for user in range(USERS) for n, item in own_items(log, user)}
    rows = [place[user, item] for user, item in zip(plain.user[plain.owner], plain.target, strict=True)]
    np.testing.assert_allclose(weighed.weight, plain.weight * left[rows], rtol=1e-5)
    assert len(np.unique(plain.user)) == USERS


def own_items(log: Timeline, user: int) -> list[tuple[int, int]]:
    """The places and items of a user's likings."""
    return [(n, int(log.item_row[n])) for n in range(int(log.start[user]), int(log.start[user + 1]))]


@pytest.mark.parametrize("clock", [TIMED, Clock()], ids=["snapshots", "bags"])
def test_values_weigh_by_their_logarithm_if_asked(clock: Clock) -> None:
    log = timeline()
    assert log.value is not None
    value = {
        (user, item): float(worth)
        for user in range(USERS)
        for item, worth in zip(
            log.item_row[log.start[user] : log.start[user + 1]],
            1 + np.log1p(log.value / np.median(log.value))[log.start[user] : log.start[user + 1]],
            strict=True,
        )
    }
    for by_value in (False, True):
        for batch in epoch(examples_of(log, clock, 5, recency=None, by_value=by_value, snapshots=clock.timed)):
            count = np.bincount(batch.owner, minlength=len(batch.user))
            each = [
                (value[user, item] if by_value else 1.0) / count[owner] ** 0.5
                for owner, user, item in zip(batch.owner, batch.user[batch.owner], batch.target, strict=True)
            ]
            assert batch.weight.tolist() == pytest.approx(each, rel=1e-5)


@pytest.mark.parametrize("clock", [TIMED, Clock()], ids=["snapshots", "bags"])
def test_an_epoch_of_a_large_log_has_no_more_than_so_many_examples(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "EPOCH", 16)
    made = examples_of(timeline(), clock, 5, recency=None, by_value=False, snapshots=clock.timed)
    batches = epoch(made)
    assert len(batches) == made.steps(8) == 2
    assert sum(len(batch.user) for batch in batches) <= 16


def test_a_snapshot_knows_nothing_of_its_targets() -> None:
    log = timeline()
    assert log.time is not None
    made = examples_of(log, TIMED, 100, recency=None, by_value=False, snapshots=True)
    for batch in epoch(made):
        date = made.moments[batch.moment].date
        assert date is not None
        for place, user in enumerate(batch.user):
            own = slice(log.start[user], log.start[user + 1])
            past = set(log.item_row[own][log.time[own] < date].tolist())
            targets = set(batch.target[batch.owner == place].tolist())
            assert set(batch.history[place].tolist()) - {-1} <= past
            assert targets == set(log.item_row[own][(log.time[own] >= date) & (log.time[own] < date + HORIZON * DAY)])
            assert not targets & past


def test_every_batch_of_bags_has_something_to_name() -> None:
    log = Log(
        user_row=np.arange(4, dtype=np.int32), item_row=np.arange(4, dtype=np.int32), time=None, value=None,
        positive=np.ones(4, bool),
    )  # fmt: skip
    made = examples_of(Timeline.of(log, 4, 4), Clock(), 5, recency=None, by_value=False, snapshots=False)
    for seed in range(20):
        batches = list(made.batches(2, np.random.default_rng(seed)))
        assert len(batches) == made.steps(2) == 2
        assert all(len(batch.target) for batch in batches)


def test_a_snapshot_names_what_was_liked_in_the_horizon_after_its_date_and_nothing_later() -> None:
    made = examples_of(timeline(), TIMED, 5, recency=None, by_value=False, snapshots=True)
    assert isinstance(made, Snapshots)
    for world, until in zip(made.moments, made.until, strict=True):
        assert world.date is not None
        assert np.array_equal(until, made.timeline.before(world.date + int(HORIZON * DAY)))
