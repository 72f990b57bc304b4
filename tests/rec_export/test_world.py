"""The world as of a date, row by row in plain Python; nothing at or after the date is ever looked at."""

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.clock import Clock
from rec_export.data.log import Log
from rec_export.data.times import DAY
from rec_export.data.vocab import UNKNOWN
from rec_export.world import Timeline, World, newcomer, untried

USERS, ITEMS = 4, 5
CLOCK = Clock(half_lives=(1.0, 7.0), horizon=30.0)


class Row(NamedTuple):
    """An event."""

    user: int
    item: int
    day: float
    liked: bool


ROW = st.builds(
    Row,
    st.integers(0, USERS - 1),
    st.integers(0, ITEMS - 1),
    st.integers(0, 40).map(lambda half: half / 2),
    st.booleans(),
)
ROWS = st.lists(ROW, min_size=1, max_size=25).map(lambda rows: sorted(rows, key=lambda row: row.day))
DATE = st.integers(0, 42).map(lambda half: half / 2)


def timeline(rows: list[Row]) -> Timeline:
    """The rows, which are in time order, as arrays."""
    user, item, day, liked = (np.array(column) for column in zip(*rows, strict=True))
    log = Log(user.astype(np.int32), item.astype(np.int32), (day * DAY).astype(np.int64), None, liked)
    return Timeline.of(log, USERS, ITEMS)


def world(rows: list[Row], date: float) -> World:
    """The world before a day."""
    return timeline(rows).as_of(int(date * DAY), CLOCK)


def likings(rows: list[Row], user: int, date: float) -> list[Row]:
    """The first liking of each item by a user before a day."""
    found: dict[int, Row] = {}
    for row in rows:
        if row.user == user and row.liked and row.day < date:
            found.setdefault(row.item, row)
    return list(found.values())


EVERYBODY = np.arange(USERS)


@given(rows=ROWS, date=DATE, length=st.integers(1, 6))
def test_a_history_holds_the_newest_likings_before_the_date(rows: list[Row], date: float, length: int) -> None:
    history, size = world(rows, date).history(EVERYBODY, length)
    expected = [[row.item for row in likings(rows, user, date)][-length:] for user in range(USERS)]
    assert size.tolist() == [len(items) for items in expected]
    assert [[item for item in row if item != UNKNOWN] for row in history.tolist()] == expected
    assert [row[:n] for row, n in zip(history.tolist(), size, strict=True)] == expected  # newest last, right-padded


@given(rows=ROWS, date=DATE)
def test_the_context_tells_how_much_and_how_lately(rows: list[Row], date: float) -> None:
    expected = []
    for user in range(USERS):
        mine = likings(rows, user, date)
        last = max((row.day for row in rows if row.user == user and row.liked and row.day < date), default=0.0)
        recency = math.log1p(date - last) / 4 if mine else 2.0
        events = sum(row.user == user and row.liked and row.day < date for row in rows)
        expected.append([math.log1p(len(mine)) / 2, recency, float(not mine), len(mine) / max(events, 1)])
    np.testing.assert_allclose(world(rows, date).context(EVERYBODY)[:, :4], expected, rtol=1e-5)


@pytest.mark.parametrize(("date", "hour", "weekday"), [(0.0, 0, 3), (1.25, 6, 4.25), (4.5, 12, 0.5)])
def test_the_context_tells_the_hour_and_the_weekday_of_the_date(date: float, hour: float, weekday: float) -> None:
    turns = 2 * math.pi * hour / 24, 2 * math.pi * weekday / 7
    expected = [part(turn) for turn in turns for part in (math.sin, math.cos)]
    got = world([Row(0, 0, 0.0, True)], date).context(EVERYBODY)[:, 4:]
    np.testing.assert_allclose(got, [expected] * USERS, atol=1e-6)


@given(rows=ROWS, date=DATE)
def test_the_trend_counts_the_events_before_the_date(rows: list[Row], date: float) -> None:
    past = [row for row in rows if row.liked and row.day < date]

    def popularity(count: list[float]) -> list[float]:
        return [math.log(c / max(sum(count) / ITEMS, 1e-9) + 0.05) for c in count]

    faded = [
        [sum(0.5 ** ((date - row.day) / half) for row in past if row.item == item) for item in range(ITEMS)]
        for half in CLOCK.half_lives
    ]
    count = [float(sum(row.item == item for row in past)) for item in range(ITEMS)]
    age = [max((date - row.day for row in past if row.item == item), default=0.0) for item in range(ITEMS)]
    columns = [
        *map(popularity, faded),
        popularity(count),
        [float(c == 0) for c in count],
        [math.log1p(a / 30) for a in age],
    ]
    np.testing.assert_allclose(world(rows, date).trend(), np.transpose(columns), rtol=1e-4, atol=1e-5)


@given(rows=ROWS)
def test_seen_is_all_that_a_user_met_liked_or_not(rows: list[Row]) -> None:
    seen = timeline(rows).as_of(None, CLOCK).seen(EVERYBODY[::-1])
    got = [set(seen.item_row[a:b].tolist()) for a, b in zip(seen.start, seen.start[1:], strict=False)]
    assert got == [{row.item for row in rows if row.user == user} for user in reversed(range(USERS))]


@pytest.mark.parametrize("timed", [True, False])
@given(rows=ROWS, date=DATE)
def test_again_counts_each_liking_of_an_item_and_the_days_since_the_last(
    timed: bool, rows: list[Row], date: float
) -> None:
    clock = CLOCK if timed else Clock()
    found = timeline(rows).as_of(int(date * DAY), clock).again(EVERYBODY)
    told = zip(found.items.user(), found.items.item_row, found.times, found.days, strict=True)
    likings: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        if row.liked and row.day < date:
            likings.setdefault((row.user, row.item), []).append(row.day)
    wanted = {pair: (len(days), date - days[-1] if timed else 0.0) for pair, days in likings.items()}
    assert {(user, item): (times, days) for user, item, times, days in told} == wanted
    assert (np.diff(found.items.start) == np.bincount(found.items.user(), minlength=USERS)).all()


@given(rows=ROWS)
def test_again_counts_the_likings_of_a_log_without_time(rows: list[Row]) -> None:
    user, item, _, liked = (np.array(column) for column in zip(*rows, strict=True))
    log = Log(user.astype(np.int32), item.astype(np.int32), None, None, liked)
    found = Timeline.of(log, USERS, ITEMS).as_of(None, Clock()).again(EVERYBODY[::-1].copy())
    told = zip(USERS - 1 - found.items.user(), found.items.item_row, found.times, strict=True)
    counted = Counter((row.user, row.item) for row in rows if row.liked)
    assert {(user, item): times for user, item, times in told} == counted
    assert not found.days.any()


@given(rows=ROWS, date=DATE, later=st.lists(ROW, max_size=5))
def test_nothing_at_or_after_the_date_is_looked_at(rows: list[Row], date: float, later: list[Row]) -> None:
    past = [row for row in rows if row.day < date]
    if not past:
        return
    more = [row._replace(day=row.day + date) for row in later]
    one, other = world(past, date), world(sorted([*past, *more], key=lambda row: row.day), date)
    for a, b in zip(one.history(EVERYBODY, 9), other.history(EVERYBODY, 9), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.context(EVERYBODY), other.context(EVERYBODY))
    np.testing.assert_array_equal(one.trend(), other.trend())


@given(rows=ROWS)
def test_the_end_of_the_log_is_just_after_its_last_liking(rows: list[Row]) -> None:
    made = timeline(rows)
    if not any(row.liked for row in rows):
        return
    last = max(row.day for row in rows if row.liked)
    assert made.end == int(last * DAY) + 1
    np.testing.assert_array_equal(made.as_of(None, CLOCK).trend(), made.as_of(made.end, CLOCK).trend())


@given(rows=ROWS)
def test_a_log_without_usable_time_counts_alone(rows: list[Row]) -> None:
    trend = timeline(rows).as_of(None, Clock()).trend()
    count = np.bincount([row.item for row in rows if row.liked], minlength=ITEMS)
    expected = np.stack([np.log(count / max(count.mean(), 1e-9) + 0.05), count == 0], 1)
    np.testing.assert_allclose(trend, expected, rtol=1e-5)


def test_a_newcomer_has_the_trends_of_an_item_that_never_occurred() -> None:
    np.testing.assert_array_equal(newcomer(CLOCK), world([Row(0, 0, 1.0, True)], 2.0).trend()[ITEMS - 1])


@pytest.mark.parametrize("clock", [CLOCK, Clock()])
def test_what_nobody_liked_stands_in_lists_as_what_was_liked_least_and_longest_ago(clock: Clock) -> None:
    rows = [Row(0, 1, 1.0, True), Row(1, 0, 2.0, True), Row(1, 0, 9.0, True), Row(0, 2, 9.5, False)]
    made = timeline(rows).as_of(None, clock)
    before, lists = made.trend(), made.trend_for_lists()
    np.testing.assert_array_equal(lists[:2], before[:2])
    np.testing.assert_array_equal(lists[2:], np.tile(before[1], (ITEMS - 2, 1)))  # once, where the other was twice
    np.testing.assert_array_equal(untried(lists, clock), lists[-1])  # whichever of both it is asked of


def test_where_nobody_liked_anything_all_are_newcomers() -> None:
    trend = timeline([Row(0, 0, 1.0, False)]).as_of(None, Clock()).trend_for_lists()
    np.testing.assert_array_equal(trend, np.tile(newcomer(Clock()), (ITEMS, 1)))
