"""What was read and how it was understood, as lines for a person, before anything is done with it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.broken import dates_in, told
from rec_export.data.columns import Int64, first, is_text
from rec_export.data.config import Attributes, DataConfig, Interactions
from rec_export.data.guess import of_stars
from rec_export.data.keys import Keys
from rec_export.data.log import different_pairs
from rec_export.data.moments import perhaps_times
from rec_export.data.read import in_every_part, left_out, names_in, parts_of, read_table, types_in
from rec_export.data.source import Source
from rec_export.data.times import DAY, date, unit_of
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import shorten
from rec_export.progress import in_parts, passed
from rec_export.words import counted, listed

OTHER_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{4}\b")
FEW = 1000  # events
LONGEST = 400  # characters of names
KINDS = ("dense", "category", "tags", "text")


def first_look(path: Path, data: DataConfig, source: Source) -> list[str]:
    """The sizes, the columns and what they are taken for, and what a careful person would want to know."""
    with in_parts("looking at the rows", 4):
        return list(seen(path, data, source))


def seen(path: Path, data: DataConfig, source: Source) -> Iterator[str]:
    """The same, line by line, as the parts of a step."""
    events = source.events
    users, items = len(events.user_id.present()), len(events.item_id.present())
    count = len(parts_of(path)) if path.is_dir() else 0
    parts = f" ({counted(count, 'file')})" if count else ""
    read = counted(len(events.positive), "event"), counted(users, "user"), counted(items, "item")
    yield f"Read      {', '.join(read)} from {path}{parts}"
    yield f"Columns   {'  '.join(columns(data.interactions, source))}"
    yield from left_alone(data.interactions)
    yield from in_folders(path)
    passed()
    yield "          change with --user --item --time --time-unit --value --positive"
    yield from changing(path)
    for name, declared, table in (("Items", data.items, source.items), ("Users", data.users, source.users)):
        if declared is not None and table is not None:
            kinds = [f"{kind}={','.join(getattr(declared, kind))}" for kind in KINDS if getattr(declared, kind)]
            yield f"{name:<10}{table.num_rows:,} rows  {'  '.join([f'id={declared.id}', *kinds])}"
            yield from unread(declared)
            yield from listed_as_text(declared, table)
            yield from undescribed(name.lower(), events.item_id if name == "Items" else events.user_id, table)
    passed()
    yield from notes(source)
    passed()
    yield from undated(data.interactions)
    yield from strange_dates(source)


def changing(path: Path) -> Iterator[str]:
    """A warning where fields of JSON lines are not read: one of them may be the time."""
    names = left_out(path)
    if names:
        yield f"WARNING   not read, as it changes its type from line to line: {', '.join(names)}"


def in_folders(path: Path) -> Iterator[str]:
    """A warning where folders are called as Hive does it, by a column that the files do not hold."""
    inside = [part.relative_to(path).parts[:-1] for part in parts_of(path)] if path.is_dir() else []
    found = {key: value for parts in inside for key, sign, value in (one.partition("=") for one in parts) if sign}
    for name in sorted({*found} - {*(names_in(path) if found else ())}):
        yield f"WARNING   not read, as it stands in names of folders alone ({name}={found[name]}): write it as a column"


def left_alone(log: Interactions) -> Iterator[str]:
    """The columns of the log that are taken for nothing, and of objects the fields."""
    read, every = log.columns(), names_in(log.path, inside=True)
    leaves = [name for name in every if not any(other.startswith(f"{name}.") for other in every)]
    names = [name for name in leaves if name not in read]
    if names:
        yield f"          not read: {shorten(', '.join(names), LONGEST)} (taken for no user, item, time or value)"


def columns(log: Interactions, source: Source) -> Iterator[str]:
    """The columns of the log, with the range of what is in them."""
    events = source.events
    yield f"user={log.user}"
    yield f"item={log.item}"
    if log.time and events.time is not None:
        unit = unit_of(read_table(log.path, [log.time])[log.time], log.time_unit)
        told = [*([unit] if unit else []), f"{date(int(events.time.min()))} .. {date(int(events.time.max()))}"]
        yield f"time={log.time} ({', '.join(told)})"
    if log.value and events.value is not None:
        liked = (
            ""
            if log.positive is None
            else f", liked from {log.positive:g}"
            + ": as stars; of pieces or plays say --positive 1"
            * (log.positive > 1 and of_stars(log.value, events.value))
        )
        yield f"value={log.value} ({events.value.min():g} .. {events.value.max():g}{liked})"


def unread(declared: Attributes) -> Iterator[str]:
    """The columns of a table that say nothing a model can read, or nothing at all."""
    names = [name for name in names_in(declared.path) if name not in declared.columns()]
    if names:
        why = "dates, links, keys, what is in stock, decimal commas, or the same in every row"
        yield f"          not read: {shorten(', '.join(names), LONGEST)} ({why})"


def undescribed(what: str, keys: Keys, table: pa.Table) -> Iterator[str]:
    """A note when some of the log's ids are not in the table."""
    known = Vocab(table.column(0).combine_chunks()).rows(keys.present()) != UNKNOWN
    if not known.all():
        yield f"Note      {int((~known).sum()):,} of {len(known):,} {what} of the log are not in the table of {what}"


def strange_dates(source: Source) -> Iterator[str]:
    """A warning when the log begins before there were shops on the web, or ends in the future."""
    if source.events.time is None:
        return
    first, last = int(source.events.time.min()), int(source.events.time.max())
    if date(first) < "1990":
        yield f"WARNING   the oldest event is of {date(first)}; is the unit of time right?"
    late = len(source.events.time) - len(past(source.events.time))
    if late:
        yield (
            f"WARNING   {counted(late, 'row')} of the log {'is' if late == 1 else 'are'} in the future, the newest of"
            f" {date(last)}; training takes that day for the present, so leave such rows out"
        )


def past(time: Int64) -> Int64:
    """Those of some times, in microseconds, that are not in the future, whatever the time zone."""
    return time[time <= datetime.now(UTC).timestamp() * 1e6 + DAY]


def listed_as_text(declared: Attributes, table: pa.Table) -> Iterator[str]:
    """A note for each column whose cells are lists in brackets: as one word each they say nothing."""
    for name in (*declared.category, *declared.text):
        cells = pc.drop_null(table[name].cast(pa.large_string()))
        if len(cells) and pc.mean(pc.match_substring_regex(cells, r"^\[.*\]$").cast(pa.int8())).as_py() > 0.5:
            yield (
                f"Note      column {name!r} holds lists written as text; write real lists, or words joined by"
                f" {declared.separator!r}, and they are read as tags"
            )


def notes(source: Source) -> Iterator[str]:
    """What is unusual in the log."""
    events = source.events
    single = int((events.user_id.counts() == 1).sum())
    pairs = len(different_pairs(events))
    if events.left_out:
        yield f"Note      rows left out: {told(events.left_out)}"
    if not events.positive.all():
        yield f"Note      {int((~events.positive).sum()):,} events are seen but not liked"
    if len(events.positive) > pairs:
        yield f"Note      {len(events.positive) - pairs:,} events repeat a user and an item; all count for trends,"
        yield "          and whether lists hold what was met again is for score.seen to say (docs/habits.md)"
    if single:
        yield f"Note      {counted(single, 'user')} with a single event: kept, and scored like the rest"
    if len(events.positive) < FEW:
        yield f"Note      {len(events.positive):,} events are very few; do not expect much of the lists"


def other_dates(path: Path, rest: dict[str, pa.DataType]) -> Iterator[str]:
    """Columns whose first value looks like a date of another way to write it."""
    for name in in_every_part(path, (name for name, kind in rest.items() if is_text(kind))):
        column = read_table(path, [name])[name]
        value = str(first(column))
        if OTHER_DATE.match(value):
            yield f"{name!r} holds {value[:10]!r}: if that is a date, write it like 2025-12-31 to have it read"
        words = words_among_times(column)
        if words:
            yield (
                f"{name!r} holds times, but for {counted(words, 'row')}: name it by --time, and leave those out by"
                " --bad-rows leave-out"
            )


def words_among_times(column: pa.ChunkedArray) -> int:
    """How many cells of text are no times where most are; 0 where most are none."""
    begin = column.slice(0, FEW)  # most columns are something else, and told by it
    if 2 * np.isfinite(dates_in(begin)).sum() <= len(begin):
        return 0
    return int(np.isnan(dates_in(column)).sum())


def undated(log: Interactions) -> Iterator[str]:
    """A note on a log without time, with the columns that could be it: which one, only a person knows."""
    if log.time is not None:
        return
    rest = {name: kind for name, kind in types_in(log.path).items() if name not in log.columns()}
    moments = perhaps_times(log.path, rest)
    if not moments:
        yield from (f"Note      {line}" for line in other_dates(log.path, rest))
        yield "Note      no column is known as a time (--time names one), so the lists are dated today"
        return
    one = "it" if len(moments) == 1 else "one"
    known = f"no column is known as the time; {listed(moments)} may hold times: name {one} by --time"
    yield f"Note      {known}, or the lists are dated today"
