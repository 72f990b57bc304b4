"""Ids and rows: there and back, whatever the ids."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.data.vocab import UNKNOWN, Vocab, ordered, shuffled
from rec_export.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
INT64 = st.integers(-(2**63), 2**63 - 1)
IDS = (
    st.lists(TEXT, unique=True, min_size=1).map(lambda v: pa.array(v, pa.string()))
    | st.lists(INT64, unique=True, min_size=1).map(lambda v: pa.array(v, pa.int64()))
    | st.lists(st.integers(0, 2**32 - 1), unique=True, min_size=1).map(lambda v: pa.array(v, pa.uint32()))
)  # fmt: skip


@given(ids=IDS)
def test_an_id_comes_back_from_its_row_in_its_type(ids: pa.Array) -> None:
    vocab = Vocab(ids)
    assert vocab.rows(ids).tolist() == list(range(len(ids)))
    assert vocab.take(vocab.rows(ids)).equals(ids)


@given(known=st.lists(TEXT, unique=True), asked=st.lists(TEXT))
def test_an_id_that_is_not_known_is_unknown(known: list[str], asked: list[str]) -> None:
    rows = Vocab(pa.array(known, pa.string())).rows(pa.array(asked, pa.string()))
    assert rows.tolist() == [known.index(a) if a in known else UNKNOWN for a in asked]


@given(known=st.lists(INT64, unique=True, min_size=1), asked=st.lists(INT64))
def test_a_number_and_its_text_are_the_same_id(known: list[int], asked: list[int]) -> None:
    numbers, texts = pa.array(known, pa.int64()), pa.array([str(a) for a in asked], pa.string())
    expected = [known.index(a) if a in known else UNKNOWN for a in asked]
    assert Vocab(numbers).rows(texts).tolist() == expected
    assert Vocab(numbers.cast(pa.string())).rows(pa.array(asked, pa.int64())).tolist() == expected


@given(
    known=st.lists(st.integers(0, 60), min_size=1, unique=True),
    asked=st.lists(st.integers(-5, 65) | st.none(), max_size=20),
    text=st.booleans(),
)
def test_few_ids_have_the_rows_that_many_have(known: list[int], asked: list[int | None], text: bool) -> None:
    kind = pa.string() if text else pa.int64()
    vocab, wanted = Vocab(pa.array(known).cast(kind)), pa.array(asked, pa.int64()).cast(kind)
    row = {number: place for place, number in enumerate(known)}
    assert vocab.rows(wanted).tolist() == [UNKNOWN if one is None else row.get(one, UNKNOWN) for one in asked]


def test_composed_and_decomposed_letters_are_two_ids() -> None:
    vocab = Vocab(pa.array(["é", "e\u0301"]))
    assert vocab.rows(pa.array(["e\u0301", "é"])).tolist() == [1, 0]


@given(ids=IDS, data=st.data())
def test_the_shuffled_order_depends_on_the_ids_alone(ids: pa.Array, data: st.DataObject) -> None:
    other = ids.take(pa.array(data.draw(st.permutations(range(len(ids)))), pa.int64()))
    twice = pa.concat_arrays([other, ids])
    assert shuffled(twice).equals(shuffled(ids))
    assert sorted(shuffled(ids).to_pylist()) == sorted(ids.to_pylist())


def test_the_shuffled_order_is_not_the_sorted_one() -> None:
    ids = pa.array(range(1000))
    place = shuffled(ids).to_pylist()
    inversions = sum(a > b for a, b in pairwise(place))
    assert 400 < inversions < 600


@given(ids=IDS)
def test_ordered_ids_are_sorted_and_stand_once(ids: pa.Array) -> None:
    assert ordered(pa.concat_arrays([ids, ids])).to_pylist() == sorted(ids.to_pylist())


@given(known=IDS, data=st.data())
def test_a_vocabulary_grows_at_its_end(known: pa.Array, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(known)))
    grown = Vocab(known[:size]).plus(known)
    assert grown.ids[:size].equals(known[:size])
    assert grown.ids[size:].equals(shuffled(known[size:]))


@pytest.mark.parametrize("written", ["007", "+7", "7.0"])
def test_a_number_written_in_another_way_is_no_known_id_and_cannot_be_added(written: str) -> None:
    known = Vocab(pa.array([7, 8]))
    assert known.rows(pa.array([written])).tolist() == [UNKNOWN]
    with pytest.raises(DataError, match="1 new ids are string, such as"):
        known.plus(pa.array([written]))


def test_integers_grow_wider_where_a_new_one_needs_it() -> None:
    grown = Vocab(pa.array([1, 2], pa.int8())).plus(pa.array([1000], pa.int32()))
    assert grown.ids.equals(pa.array([1, 2, 1000], pa.int32()))


def test_ids_of_another_kind_cannot_be_added() -> None:
    with pytest.raises(DataError, match="2 new ids are string, such as 'b', but the known ones are int64, such as 1"):
        Vocab(pa.array([1, 2])).plus(pa.array(["b", "a", "1"]))
