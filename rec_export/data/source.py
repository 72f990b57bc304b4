"""Everything that a configuration names, read: the log with the part of each row, and the tables of users and items."""

from typing import Literal, NamedTuple, Self, final

import numpy as np
import pyarrow as pa

from rec_export.data.columns import Bool
from rec_export.data.config import DataConfig
from rec_export.data.entities import read_attributes
from rec_export.data.log import Events, core, read_events, select, without_repeats
from rec_export.data.split import Part, Parts, split

PAIRS = ("random", "user", "last")  # the splits that divide pairs of a user and an item; the others divide rows


@final
class Source(NamedTuple):
    """All that the files say, and which row is in which part."""

    events: Events
    users: pa.Table | None
    items: pa.Table | None
    parts: Parts
    config: DataConfig

    @classmethod
    def read(cls, config: DataConfig) -> Self:
        """Read the log and the tables, split, and drop repeats: no later row decides what an earlier part holds."""
        events = read_events(config.interactions, config.split.column)
        rule, whole = config.interactions.repeats, np.zeros(len(events.positive), np.int64)
        if config.split.by in PAIRS:
            events = select(events, without_repeats(events, rule, whole))
        parts = split(events, config.split)
        if config.split.by not in PAIRS:
            kept = without_repeats(events, rule, parts.astype(np.int64))
            events, parts = select(events, kept), parts[kept]
        users = config.users and read_attributes(config.users)
        items = config.items and read_attributes(config.items)
        return cls(events, users, items, parts, config)

    def with_validation(self, by: Literal["time", "random"]) -> "Source":
        """For a configuration that splits nothing: the newest rows, or random ones, become the validation part."""
        rule = self.config.split.model_copy(update={"by": by, "test": 0.0})
        return self._replace(parts=split(self.events, rule)) if rule.valid > 0 else self

    def rows(self, *parts: Part) -> Bool:
        """The rows of some parts, bool [R]."""
        return np.isin(self.parts, parts)

    def lessons(self, *parts: Part) -> Bool:
        """Those rows of some parts that may be learned from: the k-core among them, bool [R]."""
        return core(self.events, self.config.minimum, self.rows(*parts))
