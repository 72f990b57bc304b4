"""Every rule gives each row one part, holds nothing back in training, and depends on its seed alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.config import Split
from rec_export.data.keys import Keys
from rec_export.data.log import Events
from rec_export.data.split import Part, split
from rec_export.errors import DataError

TRAIN, VALID, TEST = Part.TRAIN, Part.VALID, Part.TEST
ROWS = 400


def events(part: Sequence[str | None] | None = None, **columns: Any) -> Events:
    """400 rows of 20 users at 400 different times, all liked, if nothing else is said."""
    rng = np.random.default_rng(5)
    fields = {
        "user_id": pa.array(rng.integers(0, 20, ROWS)), "item_id": pa.array(range(ROWS)),
        "time": rng.permutation(ROWS) * 1_000_000, "value": None, "positive": np.ones(ROWS, bool),
        "part": None if part is None else pa.array(part, pa.string()), "left_out": {},
    }  # fmt: skip
    made = {**fields, **columns}
    return Events(**{**made, **{name: Keys.of(made[name], name) for name in ("user_id", "item_id")}})


def sizes(parts: np.ndarray[Any, Any]) -> list[int]:
    """The rows of each part."""
    return [int((parts == part).sum()) for part in Part]


@pytest.mark.parametrize("by", ["time", "random"])
@pytest.mark.parametrize(("valid", "test"), [(0.1, 0.2), (0.0, 0.25), (0.25, 0.0), (0.0, 0.0)])
def test_parts_have_the_sizes_that_were_asked_for(by: str, valid: float, test: float) -> None:
    parts = split(events(), Split.of({"by": by, "valid": valid, "test": test}, "here"))
    assert sizes(parts) == [ROWS * (1 - valid - test), ROWS * valid, ROWS * test]


def test_a_split_by_time_holds_out_what_is_newest() -> None:
    made = events()
    parts = split(made, Split(by="time", valid=0.1, test=0.1))
    assert made.time is not None
    assert made.time[parts == TRAIN].max() < made.time[parts == VALID].min()
    assert made.time[parts == VALID].max() < made.time[parts == TEST].min()


@given(time=st.lists(st.integers(0, 5), min_size=2, max_size=30), test=st.floats(0, 0.5), valid=st.floats(0, 0.4))
def test_rows_of_one_time_are_never_divided(time: list[int], test: float, valid: float) -> None:
    n = len(time)
    made = events(user_id=pa.array([0] * n), item_id=pa.array(range(n)), time=np.array(time), positive=np.ones(n, bool))
    try:
        parts = split(made, Split(by="time", valid=valid, test=test))
    except DataError:
        return
    assert len(set(zip(time, parts.tolist(), strict=True))) == len(set(time))
    assert [p for _, p in sorted(zip(time, parts.tolist(), strict=True))] == sorted(parts.tolist())


def test_without_a_test_part_the_newest_row_is_not_lost() -> None:
    made = events()
    assert made.time is not None
    assert split(made, Split(by="time", valid=0.1, test=0.0))[made.time.argmax()] == VALID
    assert split(made, Split(by="time", valid=0.0, test=0.0))[made.time.argmax()] == TRAIN


@pytest.mark.parametrize("by", ["random", "user", "last"])
def test_the_seed_decides(by: str) -> None:
    made = events(time=np.zeros(ROWS, np.int64))
    same, again, other = (split(made, Split.of({"by": by, "seed": seed}, "here")) for seed in (1, 1, 2))
    assert same.tolist() == again.tolist() != other.tolist()


def test_a_split_within_users_gives_each_user_the_same_share() -> None:
    made = events()
    parts = split(made, Split(by="user", valid=0.1, test=0.2))
    users = made.user_id.column().to_numpy()
    shares = {user: sizes(parts[users == user]) for user in np.unique(users)}
    rows = {user: sum(share) for user, share in shares.items()}
    # Python, too, rounds halves to even.
    assert shares == {u: [n - round(0.1 * n) - round(0.2 * n), round(0.1 * n), round(0.2 * n)] for u, n in rows.items()}


def test_the_last_rows_of_each_user_with_three_are_held_out() -> None:
    made = events(
        user_id=pa.array(["a", "a", "a", "a", "b", "b", "c", "c", "c"]),
        item_id=pa.array(range(9)),
        time=np.array([3, 1, 4, 2, 1, 2, 7, 9, 8]),
        positive=np.ones(9, bool),
    )
    parts = split(made, Split(by="last"))
    assert parts.tolist() == [VALID, TRAIN, TEST, TRAIN, TRAIN, TRAIN, TRAIN, TEST, VALID]


def test_the_last_row_is_the_last_that_was_liked() -> None:
    made = events(
        user_id=pa.array(["a"] * 5), item_id=pa.array(range(5)), time=np.arange(5),
        positive=np.array([True, True, True, False, False]),
    )  # fmt: skip
    assert split(made, Split(by="last")).tolist() == [TRAIN, VALID, TEST, TEST, TEST]  # dislikes go with their time


def test_a_share_of_zero_holds_no_last_row_out() -> None:
    made = events(user_id=pa.array(["a"] * 4), item_id=pa.array(range(4)), time=np.arange(4), positive=np.ones(4, bool))
    parts = [split(made, Split(by="last", **shares)).tolist() for shares in ({"test": 0.0}, {"valid": 0.0})]
    assert parts == [[TRAIN, TRAIN, TRAIN, VALID], [TRAIN, TRAIN, TRAIN, TEST]]


def test_a_user_of_two_likings_gives_one_where_one_part_is_wanted() -> None:
    made = events(user_id=pa.array(["a"] * 2), item_id=pa.array(range(2)), time=np.arange(2), positive=np.ones(2, bool))
    assert split(made, Split(by="last", valid=0.0)).tolist() == [TRAIN, TEST]


def test_ties_of_the_last_rows_are_broken_at_random() -> None:
    made = events(
        user_id=pa.array(np.repeat(np.arange(300), 4)), item_id=pa.array(np.tile(np.arange(4), 300)),
        time=np.zeros(1200, np.int64), positive=np.ones(1200, bool),
    )  # fmt: skip
    parts = split(made, Split(by="last")).reshape(300, 4)
    assert (parts == TEST).sum(1).tolist() == [1] * 300
    assert (
        (parts == TEST).sum(0) > 40
    ).all()  # 75 expected of each place; in the order of the file it would be 0 or 300


@given(words=st.lists(st.sampled_from(["train", "TRAIN", "valid", "val", "Validation", "test", "Test"]), min_size=1))
def test_a_column_says_the_part_in_any_case(words: list[str]) -> None:
    n = len(words)
    made = events(words, user_id=pa.array(range(n)), item_id=pa.array(range(n)), time=None, positive=np.ones(n, bool))
    expected = [{"tr": TRAIN, "va": VALID, "te": TEST}[word[:2].lower()] for word in words]
    if TRAIN in expected:
        assert split(made, Split(by="column", column="part")).tolist() == expected


@pytest.mark.parametrize(("word", "shown"), [("dev", "'dev'"), ("", "''"), (None, "<NA>")])
def test_another_word_in_the_column_is_refused(word: str | None, shown: str) -> None:
    made = events([word, *["train"] * (ROWS - 1)])
    with pytest.raises(DataError, match=f"^column 'part' says {shown} in 1 rows; it must say train, valid or test$"):
        split(made, Split(by="column", column="part"))


@pytest.mark.parametrize("by", ["random", "user", "none"])
def test_what_was_not_liked_is_never_drawn(by: str) -> None:
    rng = np.random.default_rng(1)
    made = events(positive=rng.random(ROWS) < 0.7)
    parts = split(made, Split.of({"by": by}, "here"))
    assert set(parts[~made.positive].tolist()) == {TRAIN}


def test_what_was_not_liked_is_in_the_part_of_its_time() -> None:
    made = events(positive=np.arange(ROWS) % 3 > 0)
    alike = split(events(), Split(by="time", valid=0.1, test=0.1))
    assert split(made, Split(by="time", valid=0.1, test=0.1)).tolist() == alike.tolist()


def test_what_was_not_liked_after_the_split_is_not_trained_on() -> None:
    made = events(positive=np.arange(ROWS) % 3 > 0)
    parts = split(made, Split(by="time", valid=0.1, test=0.1))
    assert made.time is not None
    assert made.time[parts == TRAIN].max() < made.time[parts != TRAIN].min()


def test_no_split_trains_on_everything() -> None:
    assert sizes(split(events(), Split(by="none"))) == [ROWS, 0, 0]
