"""The lists that a person is shown."""

import numpy as np
import pyarrow as pa

from rec_export.data.keys import Keys
from rec_export.data.log import Events
from rec_export.lists import newest_liked


def events(time: list[int] | None) -> Events:
    """Six rows of two users, one of them disliked."""
    return Events(
        user_id=Keys.of(pa.array(["a", "a", "b", "a", "a", "a"]), ""),
        item_id=Keys.of(pa.array(["1", "2", "3", "4", "5", "6"]), ""),
        time=None if time is None else np.array(time),
        value=None,
        positive=np.array([True, True, True, False, True, True]),
        part=None,
        left_out={},
    )


def test_the_newest_likings_come_last() -> None:
    assert newest_liked(events([9, 2, 1, 8, 3, 4]), 0).tolist() == [4, 5, 0]


def test_without_time_the_last_rows_count_as_the_newest() -> None:
    assert newest_liked(events(None), 0).tolist() == [1, 4, 5]


def test_what_was_liked_again_is_shown_once() -> None:
    again = events([1, 2, 3, 4, 5, 6])._replace(item_id=Keys.of(pa.array(["1", "2", "3", "4", "2", "1"]), ""))
    assert newest_liked(again, 0).tolist() == [4, 5]
