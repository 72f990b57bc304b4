"""Today's files against a bundle: whom to score, among which items, and the world as of the run's date."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.job import ScoreJob
from rec_export.bundle import Bundle
from rec_export.catalogue import Catalogue
from rec_export.data.columns import Bool, Int64, comparable
from rec_export.data.config import Attributes, DataConfig
from rec_export.data.entities import read_attributes
from rec_export.data.log import Events, make_log, once, read_events, say_left_out, select
from rec_export.data.read import names_in
from rec_export.data.times import DAY
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError, some
from rec_export.machine import give_back
from rec_export.progress import in_parts, passed
from rec_export.world import Timeline, World


class Today(NamedTuple):
    """What the run knows of the world, and whom and what it is about."""

    catalogue: Catalogue
    world: World
    users: Int64  # [U] in sorted order of their ids
    eligible: Bool | None  # [N]
    log_rows: int  # that can be read, up to the run's date, repeats too
    left_out: dict[str, int]  # the others, by what is wrong with them
    newest: int | None  # moment of the last of them, microseconds since 1970; None without time
    goes_on: bool  # whether the log has rows after the run's date


@in_parts("reading the log and tables", 4)
def look(bundle: Bundle, job: ScoreJob) -> Today:
    """Read today's files against the bundle's catalogue."""
    data = bundle.manifest.blueprint.data
    source = job.log(data.interactions)
    whole = read_events(source)
    events = until(whole, job)
    goes_on = events is not whole
    del whole
    log_rows, newest = len(events.positive), None if events.time is None else int(events.time.max())
    events = once(events, source.repeats)
    give_back()
    passed()
    refuse_another_kind(bundle.catalogue.users.vocab, events.user_id.ids, job)
    say_left_out(events, job.interactions)
    left_out = events.left_out
    tables = {name: path for name, path in (("items", job.items), ("users", job.users)) if path is not None}
    attributes = {name: table_of(data, name, path) for name, path in tables.items()}
    passed()
    user, item = events.user_id.present(), events.item_id.present()
    catalogue = Catalogue(
        bundle.catalogue.users.grown(together(user, attributes.get("users")), attributes.get("users")),
        bundle.catalogue.items.grown(together(item, attributes.get("items")), attributes.get("items")),
    )
    passed()
    users, items = catalogue.users.vocab, catalogue.items.vocab
    rows = make_log(events, users, items)
    del events  # whose codes take as much as the rows
    give_back()
    world = Timeline.of(rows, len(users), len(items)).as_of(None, bundle.manifest.blueprint.clock)
    del rows
    give_back()
    listed, known = attributes.get("users") if job.whom == "listed" else None, (bundle.catalogue.users.vocab.ids, user)
    scored = whom(known, users, listed, job.users)
    return Today(catalogue, world, scored, among(items, attributes.get("items")), log_rows, left_out, newest, goes_on)


def refuse_another_kind(trained: Vocab, user_id: pa.Array, job: ScoreJob) -> None:
    """Raise DataError where the log's users are numbers and the model's are text, or the reverse, and none is known."""
    numbers = [pa.types.is_integer(ids.type) for ids in (user_id, trained.ids)]
    if numbers[0] != numbers[1] and len(trained) and (trained.rows(pc.unique(user_id)) == UNKNOWN).all():
        raise DataError(
            f"the users in {job.interactions} are {user_id.type}, such as {some([user_id[0].as_py()])}, but those of"
            f" the bundle {job.bundle} are {trained.ids.type}, such as {some([trained.ids[0].as_py()])}, and no id is"
            " in both; write them as they were in training"
        )


def until(events: Events, job: ScoreJob) -> Events:
    """The events up to the end of the run's day, UTC: whatever came later, new ids too, is not known yet.

    They are the same object where none came later.
    """
    if events.time is None:
        return events
    end = end_of(job.run_date)
    if events.time.min() >= end:
        raise DataError(f"{job.interactions} has no row on or before {job.run_date}; name a later --run-date")
    return select(events, events.time < end)


def end_of(day: date) -> int:
    """The first microsecond after a day, UTC, since 1970."""
    return int(datetime.combine(day, datetime.min.time(), UTC).timestamp() * 1e6) + DAY


def table_of(data: DataConfig, name: str, path: Path) -> pa.Table:
    """Today's table of items or users; users may be a list of ids without any attributes."""
    declared: Attributes | None = getattr(data, name)
    if declared is None:
        key = data.interactions.item if name == "items" else data.interactions.user
        declared = Attributes(path=path, id=key)
    if name == "users":
        present = names_in(path, inside=True)
        told = any(column in present for column in declared.columns()[1:])
        declared = declared if told else Attributes(path=path, id=declared.id)
    return read_attributes(declared.model_copy(update={"path": path}))


def together(ids: pa.Array, table: pa.Table | None) -> pa.Array:
    """Ids of the log and of a table, as text where one is text and the other numbers."""
    if table is None:
        return ids
    both = [comparable(ids), comparable(table.column(0).combine_chunks())]
    return pa.concat_arrays(both if both[0].type == both[1].type else [a.cast(pa.large_string()) for a in both])


def whom(known: tuple[pa.Array, ...], users: Vocab, table: pa.Table | None, path: Path | None) -> Int64:
    """The rows of the users to score, in sorted order of their ids: everybody, or those whom --users names.

    `known` are the ids of the bundle and of the log; of those named beside them only attributes can tell anything.
    """
    order = pc.sort_indices(comparable(users.ids)).to_numpy().astype(np.int64)
    if table is None:
        return order
    named = table.column(0).combine_chunks()
    if table.num_columns == 1 and all((Vocab(ids).rows(named) == UNKNOWN).all() for ids in known):
        raise DataError(
            f"none of the {len(named):,} users in {path} is in the bundle or the interactions, the first being"
            f" {some([named[0].as_py()])}; check that the ids are of the same kind"
        )
    return order[np.isin(order, users.rows(named))]


def among(items: Vocab, table: pa.Table | None) -> Bool | None:
    """Which items may be recommended, bool [N]: all, or those in today's table of items."""
    if table is None:
        return None
    return Vocab(table.column(0).combine_chunks()).rows(items.ids) != UNKNOWN
