"""What training needs of the source: the rows to learn from, and the users and items with their features."""

from typing import NamedTuple, Self, final

import pyarrow as pa

from rec_export.catalogue import Catalogue, Side
from rec_export.data.columns import Bool
from rec_export.data.config import Attributes
from rec_export.data.entities import aligned
from rec_export.data.features import Features, FeatureState
from rec_export.data.log import Log, make_log, select, vocabularies
from rec_export.data.source import Source, counted
from rec_export.data.vocab import Vocab
from rec_export.machine import give_back
from rec_export.progress import in_parts, passed
from rec_export.world import Timeline


@final
class Dataset(NamedTuple):
    """What a model may learn from, as arrays."""

    catalogue: Catalogue
    rows: int  # of the log that are learned from
    rated: Log | None  # they, where their values are to be predicted; else the timeline tells all
    timeline: Timeline
    user_features: Features
    item_features: Features

    @classmethod
    @in_parts("putting the tables together", 5)
    def of(cls, source: Source, learn: Bool) -> Self:
        """From the rows of the source that may be learned from; everything fitted is fitted on them alone."""
        users, items = vocabularies(source.events, learn & counted(source.events, source.rated).positive)
        passed()
        catalogue = Catalogue(
            side(users, source.users, source.config.users, source.config.interactions.user),
            side(items, source.items, source.config.items, source.config.interactions.item),
        )
        passed()
        log = rows_known(make_log(select(source.events, learn), catalogue.users.vocab, catalogue.items.vocab))
        give_back()
        passed()
        timeline = Timeline.of(log, catalogue.users.table.num_rows, catalogue.items.table.num_rows)
        passed()
        features = catalogue.users.features(), catalogue.items.features()
        give_back()
        return cls(catalogue, len(log), log if source.rated else None, timeline, *features)


def side(trained: Vocab, attributes: pa.Table | None, config: Attributes | None, name: str) -> Side:
    """The trained ids, then the other ids of the table; the state is learned from the trained rows."""
    state = FeatureState.fit(aligned(trained, attributes, name), config)
    vocab = trained if attributes is None else trained.plus(attributes.column(0).combine_chunks())
    return Side(aligned(vocab, attributes, name), state, len(trained))


def rows_known(log: Log) -> Log:
    """The rows of users and items that have a row of their own: all but the disliked items of nobody."""
    return log.where((log.user_row >= 0) & (log.item_row >= 0))
