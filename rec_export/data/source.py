"""Everything that a configuration names, read: the log with the part of each row, and the tables of users and items."""

from typing import Literal, NamedTuple, Self, final

import numpy as np
import pyarrow as pa

from rec_export.data.columns import Bool
from rec_export.data.config import Attributes, DataConfig, Split
from rec_export.data.entities import read_attributes
from rec_export.data.log import Events, core, once, read_events, select, without_repeats
from rec_export.data.read import fingerprint, refuse_changes
from rec_export.data.split import Part, Parts, split
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError, some
from rec_export.machine import give_back
from rec_export.progress import in_parts, passed

PAIRS = ("random", "user", "last")  # the splits that divide pairs of a user and an item; the others divide rows


@final
class Source(NamedTuple):
    """All that the files say, and which row is in which part."""

    events: Events
    parts: Parts
    whole: Events  # with the repeats that data.interactions.repeats leaves out
    rated: bool  # whether values are to be predicted, so that every row is a lesson, liked or not
    users: pa.Table | None
    items: pa.Table | None
    config: DataConfig
    hashes: dict[str, str]  # of the files that were read

    @classmethod
    @in_parts("reading the data", 6)
    def read(cls, config: DataConfig, rated: bool = False) -> Self:
        """Read the log and the tables, and split. Raises DataError where a file is written meanwhile.

        `rated`: values are to be predicted, so what was not liked is held out and counted as well.
        """
        hashes = {name: fingerprint(path) for name, path in config.paths().items()}
        passed()
        whole = read_events(config.interactions, config.split.column)
        passed(3)  # of six, as most is there
        users = config.users and read_attributes(config.users)
        items = config.items and read_attributes(config.items)
        passed()
        for table, keys, declared in ((users, whole.user_id, config.users), (items, whole.item_id, config.items)):
            if table is not None and declared is not None:
                refuse_strangers(table, keys.ids, declared, config)
        refuse_changes(hashes, config.paths())
        give_back()
        events, parts = divided(whole, config.interactions.repeats, config.split, rated)
        return cls(events, parts, whole, rated, users, items, config, hashes)

    def with_validation(self, by: Literal["time", "random"]) -> "Source":
        """For a configuration that splits nothing: the newest rows, or random ones, become the validation part."""
        rule = self.config.split.model_copy(update={"by": by, "test": 0.0})
        if rule.valid == 0:
            return self
        events, parts = divided(self.whole, self.config.interactions.repeats, rule, self.rated)
        return self._replace(events=events, parts=parts)

    def rows(self, *parts: Part) -> Bool:
        """The rows of some parts, bool [R]; repeats within them are left out as the configuration says."""
        rule, found = self.config.interactions.repeats, np.isin(self.parts, parts)
        if rule != "keep" and len(parts) > 1:
            found[found] = without_repeats(select(self.events, found), rule, np.zeros(int(found.sum()), np.int64))
        return found

    def lessons(self, *parts: Part) -> Bool:
        """Those rows of some parts that may be learned from: the k-core among them, bool [R]."""
        return core(counted(self.events, self.rated), self.config.minimum, self.rows(*parts))


def refuse_strangers(table: pa.Table, named: pa.Array, declared: Attributes, config: DataConfig) -> None:
    """Raise DataError when a table describes nobody and nothing that the log names."""
    if (Vocab(table.column(0).combine_chunks()).rows(named) == UNKNOWN).all():
        raise DataError(
            f"none of the {len(named):,} ids in {config.interactions.path}, such as {some([named[0].as_py()])}, is in"
            f" column {declared.id!r} of {declared.path}, such as {some([table.column(0)[0].as_py()])};"
            " check that they are ids of the same kind"
        )


def counted(events: Events, rated: bool) -> Events:
    """The events as parts and cores see them: where values are predicted, all rows count alike."""
    return events._replace(positive=np.ones(len(events.positive), bool)) if rated else events


def divided(events: Events, repeats: str, rule: Split, rated: bool) -> tuple[Events, Parts]:
    """The events without repeats, and their parts. No row decides which rows of an earlier part are kept."""
    if rule.by in PAIRS:
        events = once(events, repeats)
        return events, split(counted(events, rated), rule)
    parts = split(counted(events, rated), rule)
    kept = without_repeats(events, repeats, parts.astype(np.int64))
    return select(events, kept), parts[kept]
