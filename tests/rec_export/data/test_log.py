"""The log: the k-core, repeats, and the order of time."""

from collections import Counter
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.config import Minimum
from rec_export.data.keys import Keys
from rec_export.data.log import Events, core, make_log, select, vocabularies, without_repeats
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError

Row = tuple[int, int, int, bool]  # user, item, time, positive
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 9), st.booleans()), min_size=1, max_size=30
)


def events(rows: list[Row], timed: bool = True) -> Events:
    """Rows as they are read from a file."""
    user, item, time, positive = zip(*rows, strict=True)
    return Events(
        user_id=Keys.of(pa.array([f"u{u}" for u in user]), "user"),
        item_id=Keys.of(pa.array([f"i{i}" for i in item]), "item"),
        time=np.array(time, np.int64) if timed else None,
        value=np.array(time, np.float32),
        positive=np.array(positive),
        part=None,
        left_out={},
    )


def core_by_definition(rows: list[Row], per_user: int, per_item: int) -> list[bool]:
    """Rows out one at a time for as long as there is one whose user or item has too few."""
    kept = dict(enumerate(rows))
    while True:
        users = Counter(user for user, _, _, positive in kept.values() if positive)
        items = Counter(item for _, item, _, positive in kept.values() if positive)
        out = [place for place, (user, item, _, _) in kept.items() if users[user] < per_user or items[item] < per_item]
        if not out:
            return [place in kept for place in range(len(rows))]
        del kept[out[0]]


@given(rows=ROWS, per_user=st.integers(1, 4), per_item=st.integers(1, 4))
def test_the_core_is_the_definition(rows: list[Row], per_user: int, per_item: int) -> None:
    minimum = Minimum(per_user=per_user, per_item=per_item)
    expected = core_by_definition(rows, per_user, per_item)
    if minimum == Minimum() or any(expected):
        if any(positive for *_, positive in rows):
            wanted = [True] * len(rows) if minimum == Minimum() else expected
            assert core(events(rows), minimum, np.ones(len(rows), bool)).tolist() == wanted
        return
    with pytest.raises(DataError):
        core(events(rows), minimum, np.ones(len(rows), bool))


@given(rows=ROWS, later=ROWS)
def test_the_core_of_some_rows_does_not_look_at_the_others(rows: list[Row], later: list[Row]) -> None:
    minimum = Minimum(per_user=2, per_item=2)
    among = np.arange(len(rows) + len(later)) < len(rows)
    try:
        alone = core(events(rows), minimum, np.ones(len(rows), bool)).tolist()
    except DataError:
        return
    assert core(events(rows + later), minimum, among).tolist() == alone + [False] * len(later)


@given(rows=ROWS, timed=st.booleans(), rule=st.sampled_from(["keep", "first", "last"]))
def test_of_repeats_the_first_or_last_is_kept(
    rows: list[Row], timed: bool, rule: Literal["keep", "first", "last"]
) -> None:
    kept = without_repeats(events(rows, timed), rule, np.zeros(len(rows), np.int64)).tolist()
    if rule == "keep":
        assert kept == [True] * len(rows)
        return
    sign = 1 if rule == "first" else -1
    by_pair: dict[tuple[int, int], list[tuple[int, bool, int]]] = {}
    for place, (user, item, time, positive) in enumerate(rows):
        by_pair.setdefault((user, item), []).append((sign * (time if timed else place), not positive, place))
    best = {pair: min(found)[:2] for pair, found in by_pair.items()}
    got = [(rows[place][:2], place) for place in range(len(rows)) if kept[place]]
    assert sorted(pair for pair, _ in got) == sorted(best)
    assert {p: (sign * (rows[at][2] if timed else at), not rows[at][3]) for p, at in got} == best


@given(rows=ROWS, later=ROWS, rule=st.sampled_from(["first", "last"]))
def test_repeats_are_looked_for_within_a_group(
    rows: list[Row], later: list[Row], rule: Literal["first", "last"]
) -> None:
    group = np.repeat([0, 1], [len(rows), len(later)])
    apart = [without_repeats(events(part), rule, np.zeros(len(part), np.int64)).tolist() for part in (rows, later)]
    assert without_repeats(events(rows + later), rule, group).tolist() == apart[0] + apart[1]


@given(rows=ROWS)
def test_a_log_is_in_time_order_and_ties_stay_in_the_order_of_the_file(rows: list[Row]) -> None:
    made = events(rows)
    users, items = vocabularies(made, np.ones(len(rows), bool))
    log = make_log(made, users, items)
    expected = sorted(rows, key=lambda row: row[2])
    got = zip(users.take(log.user_row).to_pylist(), items.take(log.item_row).to_pylist(), log.positive, strict=True)
    assert list(got) == [(f"u{user}", f"i{item}", positive) for user, item, _, positive in expected]


def test_ids_that_the_vocabularies_do_not_hold_are_unknown() -> None:
    log = make_log(events([(1, 2, 0, True), (3, 4, 1, True)]), Vocab(pa.array(["u3"])), Vocab(pa.array(["i2"])))
    assert (log.user_row.tolist(), log.item_row.tolist()) == ([UNKNOWN, 0], [0, UNKNOWN])


def test_vocabularies_hold_the_ids_of_the_rows_that_are_kept() -> None:
    made = events([(3, 1, 0, True), (1, 2, 1, True), (2, 3, 2, True)])
    users, items = vocabularies(made, np.array([True, True, False]))
    assert (users.ids.to_pylist(), sorted(items.ids.to_pylist())) == (["u1", "u3"], ["i1", "i2"])


@given(rows=ROWS, data=st.data())
def test_selected_events_are_the_rows_that_are_kept(rows: list[Row], data: st.DataObject) -> None:
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    got = select(events(rows), np.array(keep))
    wanted = [row for row, kept in zip(rows, keep, strict=True) if kept]
    assert got.user_id.column().to_pylist() == [f"u{user}" for user, *_ in wanted]
    assert got.time is not None
    assert got.time.tolist() == [time for _, _, time, _ in wanted]
