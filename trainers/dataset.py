"""From a configuration to what training needs: the parts of the log, and the users and items with their features."""

from typing import NamedTuple, Self, final

import numpy as np
import pyarrow as pa

from rec_export.catalogue import Catalogue, Side
from rec_export.data.columns import Bool
from rec_export.data.config import Attributes, DataConfig, Split
from rec_export.data.entities import aligned, read_attributes
from rec_export.data.features import Features, FeatureState
from rec_export.data.log import Events, Log, core, make_log, read_events, select, vocabularies, without_repeats
from rec_export.data.split import Part, Parts, split
from rec_export.data.vocab import Vocab
from rec_export.world import Timeline


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
        return cls(events, users, items, split(events, holdout(config.split, events)), config)

    def rows(self, *parts: Part) -> Bool:
        """The rows of some parts, bool [R]."""
        return np.isin(self.parts, parts)


def holdout(rule: Split, events: Events) -> Split:
    """Without a test part the validation slice is the newest rows, or random ones in a log without time."""
    if rule.by != "none":
        return rule
    return rule.model_copy(update={"by": "random" if events.time is None else "time", "test": 0.0})


@final
class Dataset(NamedTuple):
    """What a model may learn from, as arrays."""

    catalogue: Catalogue
    log: Log
    timeline: Timeline
    user_features: Features
    item_features: Features

    @classmethod
    def of(cls, source: Source, learn: Bool) -> Self:
        """From the rows of the source that may be learned from; everything fitted is fitted on them alone."""
        users, items = vocabularies(source.events, learn & source.events.positive)
        catalogue = Catalogue(
            side(users, source.users, source.config.users, source.config.interactions.user),
            side(items, source.items, source.config.items, source.config.interactions.item),
        )
        log = rows_known(make_log(select(source.events, learn), catalogue.users.vocab, catalogue.items.vocab))
        timeline = Timeline.of(log, catalogue.users.table.num_rows, catalogue.items.table.num_rows)
        return cls(catalogue, log, timeline, catalogue.users.features(), catalogue.items.features())


def side(trained: Vocab, attributes: pa.Table | None, config: Attributes | None, name: str) -> Side:
    """The trained ids, then the other ids of the table; the state is learned from the trained rows."""
    state = FeatureState.fit(aligned(trained, attributes, name), config)
    vocab = trained if attributes is None else trained.plus(attributes.column(0).combine_chunks())
    return Side(aligned(vocab, attributes, name), state, len(trained))


def rows_known(log: Log) -> Log:
    """The rows of users and items that have a row of their own: all but the disliked items of nobody."""
    return log.where((log.user_row >= 0) & (log.item_row >= 0))
