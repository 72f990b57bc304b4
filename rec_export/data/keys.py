"""Keys: a column of ids as numbers, each distinct id kept once. Rows are many and ids are few, and text is long."""

from typing import NamedTuple, Self, final

import numpy as np
import pyarrow as pa

from rec_export.data.columns import Int32, Int64, ids, refuse_kind
from rec_export.data.vocab import Vocab


@final
class Keys(NamedTuple):
    """The id of each of R rows."""

    ids: pa.Array  # [V] each id once, in the type it came in; after `at` also ids that no row holds any more
    code: Int32  # [R] the place of each row's id

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, where: str) -> Self:
        """Encode a column without nulls. Raises DataError for what cannot be an id; `where` says what is read."""
        chunks = pa.chunked_array([column]) if isinstance(column, pa.Array) else column
        if pa.types.is_dictionary(chunks.type):
            chunks = chunks.cast(chunks.type.value_type)
        refuse_kind(chunks.type, where)
        encoded = chunks.dictionary_encode()
        code = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
        once = ids(pa.chunked_array([encoded.chunk(0).dictionary]), where)
        again = once.dictionary_encode()  # where two ways to write a number became one id, as 0.0 and -0.0 do
        if len(again.dictionary) < len(once):
            return cls(again.dictionary, again.indices.to_numpy()[code])
        return cls(once, code)

    def __len__(self) -> int:
        return len(self.code)

    def at(self, row: Int64) -> "Keys":
        """The rows at these places, in this order."""
        return Keys(self.ids, self.code[row])

    def present(self) -> pa.Array:
        """The ids that rows hold, each once."""
        return self.ids.take(pa.array(np.flatnonzero(self.counts())))

    def counts(self) -> Int64:
        """How many rows hold each id, int64 [V]."""
        return np.bincount(self.code, minlength=len(self.ids))

    def rows_in(self, vocab: Vocab) -> Int32:
        """The row of each row's id in a vocabulary, int32 [R]; UNKNOWN where there is none."""
        return vocab.rows(self.ids).astype(np.int32)[self.code]

    def column(self) -> pa.Array:
        """The id of each row, written out."""
        return self.ids.take(pa.array(self.code))
