"""The users and items that a model knows, with attributes and feature state: what checkpoint and bundle share."""

from pathlib import Path
from typing import NamedTuple, Self, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors import SafetensorError

from rec_export.data.columns import Int64, bags, words
from rec_export.data.entities import aligned
from rec_export.data.features import Features, FeatureState
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import ModelError
from rec_export.towers import TableSizes


@final
class Side(NamedTuple):
    """The users, or the items. The first `trained` rows have an embedding of their own; the others came later."""

    table: pa.Table  # the id, then the attributes
    state: FeatureState
    trained: int

    @property
    def vocab(self) -> Vocab:
        """The ids in row order."""
        return Vocab(self.table.column(0).combine_chunks())

    @property
    def sizes(self) -> TableSizes:
        """What the towers must know."""
        return self.state.sizes(self.trained)

    def features(self, row: Int64 | None = None) -> Features:
        """The attributes of some rows, int64 [B] (None: all), as the towers read them."""
        return self.state.encode(self.table if row is None else self.table.take(pa.array(row)))

    def grown(self, ids: pa.Array, attributes: pa.Table | None) -> "Side":
        """With the ids it does not know at its end, and with newer attributes where they are given."""
        vocab = self.vocab.plus(ids)
        table = aligned(vocab, attributes, self.table.column_names[0])
        mine = aligned(vocab, self.table, self.table.column_names[0])
        if attributes is None:
            return self._replace(table=mine)
        told = pa.array(Vocab(attributes.column(0).combine_chunks()).rows(vocab.ids) != UNKNOWN)
        for place, name in enumerate(mine.column_names[1:], 1):
            if name not in table.column_names:
                continue
            today, before = alike(table[name].combine_chunks(), mine[name].combine_chunks(), self.state.state.separator)
            mine = mine.set_column(place, name, pc.if_else(told, today, before))
        return self._replace(table=mine)

    def write(self, folder: Path, name: str) -> None:
        """Write {name}.parquet and features/{name}.*."""
        pq.write_table(self.table, folder / f"{name}.parquet", compression="zstd", write_page_checksum=True)
        (folder / "features").mkdir(exist_ok=True)
        self.state.write(folder / "features", name)

    @classmethod
    def read(cls, folder: Path, name: str, trained: int) -> Self:
        """Read what `write` wrote."""
        try:
            table = pq.read_table(folder / f"{name}.parquet", page_checksum_verification=True)
            return cls(table, FeatureState.read(folder / "features", name), trained)
        except (OSError, pa.ArrowException, SafetensorError) as error:
            said = str(error).splitlines()[0]
            raise ModelError(f"the {name} in {folder} are missing or damaged: {said}; make it again") from error


def alike(one: pa.Array, other: pa.Array, separator: str) -> tuple[pa.Array, pa.Array]:
    """Two columns in one type that holds both: today's prices may have cents where those of the training had none."""
    if one.type == other.type:
        return one, other
    kinds = [column.type for column in (one, other)]
    if pa.types.is_null(one.type):
        return pa.nulls(len(one), other.type), other
    if pa.types.is_null(other.type):
        return one, pa.nulls(len(other), one.type)
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        try:
            return one.cast(pa.int64()), other.cast(pa.int64())  # a float has no room for a long key
        except pa.ArrowInvalid:
            return one.cast(pa.float64(), safe=False), other.cast(pa.float64(), safe=False)
    if any(pa.types.is_list(kind) or pa.types.is_large_list(kind) for kind in kinds):
        lists = [bags(pa.chunked_array([column]), separator, "a column of tags") for column in (one, other)]
        return lists[0], lists[1]
    texts = [words(pa.chunked_array([column]), "a column") for column in (one, other)]
    return texts[0], texts[1]


@final
class Catalogue(NamedTuple):
    """Both sides."""

    users: Side
    items: Side

    def write(self, folder: Path) -> None:
        """Write both sides below `folder`."""
        self.users.write(folder, "users")
        self.items.write(folder, "items")

    @classmethod
    def read(cls, folder: Path, trained_users: int, trained_items: int) -> Self:
        """Read what `write` wrote."""
        return cls(Side.read(folder, "users", trained_users), Side.read(folder, "items", trained_items))


def rows(side: Side) -> Int64:
    """All rows, int64 [n]."""
    return np.arange(side.table.num_rows)
