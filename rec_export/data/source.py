"""Everything that a configuration names, read: the log with the part of each row, and the tables of users and items."""

from typing import Literal, NamedTuple, Self, final

import numpy as np
import pyarrow as pa

from rec_export.data.columns import Bool
from rec_export.data.config import DataConfig
from rec_export.data.entities import read_attributes
from rec_export.data.log import Events, core, read_events, select, without_repeats
from rec_export.data.split import Part, Parts, split


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
        """Read the log and the tables, drop what the configuration drops, and split."""
        events = read_events(config.interactions, config.split.column)
        events = select(events, core(events, config.minimum))
        events = select(events, without_repeats(events, config.interactions.repeats))
        users = config.users and read_attributes(config.users)
        items = config.items and read_attributes(config.items)
        return cls(events, users, items, split(events, config.split), config)

    def with_validation(self, by: Literal["time", "random"]) -> "Source":
        """For a configuration that splits nothing: the newest rows, or random ones, become the validation part."""
        rule = self.config.split.model_copy(update={"by": by, "test": 0.0})
        return self._replace(parts=split(self.events, rule)) if rule.valid > 0 else self

    def rows(self, *parts: Part) -> Bool:
        """The rows of some parts, bool [R]."""
        return np.isin(self.parts, parts)
