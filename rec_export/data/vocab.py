"""Vocab: outside ids and inside rows, and the one class that converts between them."""

from typing import final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.columns import Int32, Int64, comparable
from rec_export.errors import DataError, close_to, some

UNKNOWN = -1  # the row of an id that is not in a vocabulary; towers send it to their out-of-vocabulary row
ALIKE = 50_000  # ids that a mistyped one is compared with
FEW = 4  # times fewer ids than are known, of which a table is made instead


@final
class Vocab:
    """Ids in row order, each once, in the type they came in."""

    def __init__(self, ids: pa.Array) -> None:
        self.ids = ids
        self._comparable = comparable(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: pa.Array) -> Int64:
        """The row of each id, int64 [R]; UNKNOWN where there is none. Numbers and their text are the same id."""
        wanted, known = comparable(ids), self._comparable
        if wanted.type != known.type:
            wanted, known = (
                a if pa.types.is_large_string(a.type) else a.cast(pa.large_string()) for a in (wanted, known)
            )
        if len(known) == 0:
            return np.full(len(wanted), UNKNOWN)
        if len(wanted) < len(known) // FEW:
            return rows_of_few(wanted, known)
        return places(wanted, known)

    def plus(self, ids: pa.Array) -> "Vocab":
        """This vocabulary with the ids it does not know at its end, in shuffled order."""
        new = shuffled(pc.filter(ids, pa.array(self.rows(ids) == UNKNOWN)))
        if len(new) == 0:
            return self
        for kind in (self.ids.type, new.type) if pa.types.is_integer(new.type) else (self.ids.type,):
            known, more = in_type(self.ids, kind), in_type(new, kind)
            if known is not None and more is not None:
                return Vocab(pa.concat_arrays([known, more]))
        raise DataError(
            f"{len(new):,} new ids are {new.type}, such as {some([new[0].as_py()])}, but the known ones are"
            f" {self.ids.type}, such as {some(self.ids[:1].to_pylist())}; write both in the same way"
        )

    def take(self, rows: Int64 | Int32) -> pa.Array:
        """The ids of rows, in the type they came in."""
        return self.ids.take(pa.array(rows))

    def near(self, name: str) -> str | None:
        """The id that is nearest to a mistyped one, of those that begin alike; None where none is near."""
        texts = pc.cast(self.ids, pa.large_string())
        like = texts.filter(pc.equal(pc.utf8_slice_codeunits(texts, 0, 2), name[:2]))[:ALIKE]
        return close_to(name, like.to_pylist())


def places(wanted: pa.Array, known: pa.Array) -> Int64:
    """The first place of each id among those that are known, int64 [R]; UNKNOWN where there is none."""
    return pc.fill_null(pc.index_in(wanted, known), UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int64)


def rows_of_few(wanted: pa.Array, known: pa.Array) -> Int64:
    """The same for a few ids of many, each known once: a table of those that are wanted is soon made."""
    coded = wanted.dictionary_encode()
    found = places(known, coded.dictionary)
    there = np.flatnonzero(found != UNKNOWN)
    row = np.full(len(coded.dictionary) + 1, UNKNOWN)  # the last for a null
    row[found[there]] = there
    return row[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)]


def in_type(ids: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """The same ids in another type; None where one would be written differently: 007 is not 7."""
    try:
        cast = ids.cast(kind)
        return cast if kind == ids.type or cast.cast(ids.type).equals(ids) else None
    except pa.ArrowInvalid:
        return None


def ordered(ids: pa.Array) -> pa.Array:
    """Each id once, sorted."""
    unique = pc.unique(pc.drop_null(ids))
    return unique.take(pc.sort_indices(comparable(unique)))


def shuffled(ids: pa.Array) -> pa.Array:
    """Each id once, in an order that looks random but depends on the ids alone.

    Items get their rows in this order because ties go to the lower row: sorted ids or first dates would follow the age
    of a product, and so decide ties by something that is related to its popularity.
    """
    unique = ordered(ids)
    values = comparable(unique).to_numpy(zero_copy_only=False)
    return unique.take(pa.array(np.argsort(pd.util.hash_array(values, categorize=False), kind="stable")))
