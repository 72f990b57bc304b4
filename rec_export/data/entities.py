"""The users or the items with their attributes: one row each, aligned with a vocabulary."""

import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.broken import nameless
from rec_export.data.columns import bags, floats, ids, words
from rec_export.data.config import Attributes
from rec_export.data.read import read_table
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError, some


def read_attributes(source: Attributes) -> pa.Table:
    """The declared columns of a table of users or items, the id first. Every id stands once."""
    table = read_table(source.path, source.columns(), text=[source.id, *source.category, *source.tags, *source.text])
    where = f"column {source.id!r} of {source.path}"
    key = ids(table[source.id], where)
    missing = pc.sum(nameless(pa.chunked_array([key]))).as_py()
    if missing:
        raise DataError(
            f"{missing:,} of {len(key):,} rows of {source.path} have no {source.id}; give them ids or leave them out"
        )
    counts = pc.value_counts(key)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise DataError(
            f"{len(twice):,} ids stand more than once in {where}, the first being {some([twice[0]['values'].as_py()])};"
            " keep one row of each"
        )
    check_kinds(table, source)
    return table.set_column(0, source.id, key)


def check_kinds(table: pa.Table, source: Attributes) -> None:
    """Raise DataError where a column does not hold what it is declared to be."""
    for name in source.dense:
        floats(table[name], f"column {name!r} of {source.path}")
    for name in (*source.category, *source.text):
        words(table[name], f"column {name!r} of {source.path}")
    for name in source.tags:
        bags(table[name], source.separator, f"column {name!r} of {source.path}")


def aligned(vocab: Vocab, attributes: pa.Table | None, name: str) -> pa.Table:
    """A table in the vocabulary's row order: its ids under `name`, then the attributes, null where there are none."""
    table = pa.table({name: vocab.ids})
    if attributes is None:
        return table
    rows = Vocab(attributes.column(0).combine_chunks()).rows(vocab.ids)
    place = pa.array(rows, mask=rows == UNKNOWN)
    for column in attributes.column_names[1:]:
        table = table.append_column(column, attributes[column].combine_chunks().take(place))
    return table
