"""A column of ids as numbers is the column."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.keys import Keys
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError

COLUMNS = st.lists(st.lists(st.sampled_from(["a", "b", "日本", ""]), min_size=1), min_size=1, max_size=4)


@given(chunks=COLUMNS, data=st.data())
def test_ids_and_codes_say_what_the_column_said(chunks: list[list[str]], data: st.DataObject) -> None:
    column = pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks])
    words = column.to_pylist()
    keys = Keys.of(column, "column 'user'")
    assert (len(keys), keys.column().to_pylist(), len(set(keys.ids.to_pylist()))) == (len(words), words, len(keys.ids))
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words))))
    kept = keys.at(np.flatnonzero(keep))
    left = [word for word, stays in zip(words, keep, strict=True) if stays]
    assert (kept.column().to_pylist(), set(kept.present().to_pylist())) == (left, set(left))
    assert dict(zip(kept.ids.to_pylist(), kept.counts().tolist(), strict=True)) == {
        w: left.count(w) for w in set(words)
    }


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([pa.array(["x", "y"]).dictionary_encode(), pa.array(["y", "z"]).dictionary_encode()]),
        pa.chunked_array([["x", "y", "y", "z"]]),
    ],
)
def test_rows_are_looked_up_once_for_each_id(column: pa.ChunkedArray) -> None:
    keys = Keys.of(column, "")
    assert keys.rows_in(Vocab(pa.array(["z", "y"]))).tolist() == [UNKNOWN, 1, 1, 0]


def test_numbers_that_are_written_in_two_ways_are_one_id() -> None:
    keys = Keys.of(pa.chunked_array([[0.0, -0.0, 7.0]]), "")
    assert (keys.ids.type, keys.ids.to_pylist(), keys.code.tolist()) == (pa.int64(), [0, 7], [0, 0, 1])


def test_fractions_are_refused_by_the_name_of_their_column() -> None:
    with pytest.raises(DataError, match=r"^column 'user' of log.csv holds fractions"):
        Keys.of(pa.chunked_array([[0.5]]), "column 'user' of log.csv")
