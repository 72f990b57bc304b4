"""A configuration with a reason beside every guess, from a look at the user's files. It guesses as `run` does."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from rec_export.config import Config
from rec_export.data.broken import told, unreadable
from rec_export.data.config import Attributes, DataConfig, Interactions
from rec_export.data.guess import Given, guess_data, of_stars
from rec_export.data.names import TIME, match
from rec_export.data.read import names_in, read_table
from rec_export.data.source import Source
from rec_export.data.times import date, unit_of
from rec_export.errors import shorten
from rec_export.files import refuse_existing, storage_errors, write_whole
from rec_export.first_look import first_look
from rec_export.record import Record

Say = Callable[[str], None]
COLUMN = 41  # where reasons begin
FEW = 100  # cells, among which one is shown

SETTINGS = {
    "data.minimum.per_user": "users with fewer liked rows are not learned from",
    "data.minimum.per_item": "items with fewer liked rows are not learned from",
    "data.split.by": "none: all rows are learned from; time, random, user and last hold some out",
    "data.split.valid": "share held out to choose the number of epochs",
    "data.split.test": "share held out for `evaluate`",
    "data.history": "newest items of a user that a model sees",
    "model.name": "hybrid, gated, music, ncf, pmf, bpr, als or popular",
    "training.epochs": "at most so many; null: what suits the log",
    "training.lr": "learning rate; null: what suits the log",
    "training.seed": "the same seed gives the same weights",
    "training.device": "auto, cpu or cuda",
    "score.k": "items for each user",
    "score.seen": "items that a user has met: exclude or keep",
    "score.runtime": "what runs the exported towers: torchscript, onnx or pt2",
    "nightly.gates.covered": "least share of users who get a list, or the night is refused",
    "nightly.gates.newest_event_hours": "largest age of the log's newest row",
    "nightly.retention.dates": "dates that are kept below the read root",
}
"""What many want to change, by key; the rest is in docs/config.md. The defaults come from the configuration's types."""
KINDS = {"dense": "numbers", "category": "one word a row", "tags": "several words a row", "text": "sentences"}


@final
class InitJob(Record):
    """What is known of the files, and where the configuration goes."""

    given: Given
    out: Path = Path("config.yaml")
    program: str = "rec-export"  # as the user can call it


def run(job: InitJob, say: Say) -> None:
    """Look at the files, tell what was found, and write job.out. Raises OutputExistsError where something is there."""
    refuse_existing(job.out, "file")
    data = guess_data(job.given)
    source = Source.read(data)
    for line in first_look(job.given.log, data, source):
        say(line)
    text = "\n".join(written(data, source, job.given.columns(), job.out.absolute().parent.resolve())) + "\n"
    with storage_errors(job.out):
        job.out.parent.mkdir(parents=True, exist_ok=True)
        refuse_existing(job.out, "file")
        write_whole(job.out, text)
    say(f"Wrote     {job.out}   look at it and change what is wrong")
    say(f"Next      {shlex.join([job.program, 'train', str(job.out), '--out', 'checkpoint'])}")


def written(data: DataConfig, source: Source, given: dict[str, str | None], folder: Path) -> Iterator[str]:
    """The lines of the file. Paths below its folder are written from there, others in full."""
    yield "# Written by `rec-export init` from a look at the files; what stands behind # was seen or guessed."
    yield "# Paths are relative to this file. To read a column no longer, remove its line. Lines that begin with # are"
    yield "# defaults; docs/config.md has every key."
    yield "data:"
    yield from log_lines(data.interactions, source, given, folder)
    for name, table in (("items", data.items), ("users", data.users)):
        if table is not None:
            yield from table_lines(name, table, folder)
    yield from settings("data", 2)
    yield "nightly:"
    yield noted("  bundle: bundle", "what `rec-export export checkpoint --out bundle` makes")
    yield noted("  out: recs", "the read root of published lists")
    yield from settings("nightly", 2)
    for name in ("model", "training", "score"):
        yield f"# {name}:"
        yield from settings(name, 2)


def log_lines(log: Interactions, source: Source, given: dict[str, str | None], folder: Path) -> Iterator[str]:
    """The section `interactions`, with what each column was taken for, and why."""
    events = source.events
    users, items = len(events.user_id.present()), len(events.item_id.present())
    yield "  interactions:"
    yield noted(f"    path: {scalar(seen_from(folder, log.path))}", f"{len(events.positive):,} rows")
    yield noted(f"    user: {scalar(log.user)}", f"{why(given['user'])}; {users:,} users")
    yield noted(f"    item: {scalar(log.item)}", f"{why(given['item'])}; {items:,} items")
    if log.time is None:
        yield noted("    # time:", "no column is known as a time, so order means nothing")
    elif events.time is not None:
        unit = unit_of(read_table(log.path, [log.time])[log.time], log.time_unit)
        reason = why(given["time"]) if match(TIME, [log.time]) or given["time"] else "the only column of times"
        span = f"{date(int(events.time.min()))} .. {date(int(events.time.max()))}"
        yield noted(f"    time: {scalar(log.time)}", f"{reason}; {span}")
        yield noted(f"    time_unit: {log.time_unit}", f"read as {unit}" if unit else "the column holds times already")
    if log.value is None:
        yield noted("    # value:", "no column is known as a rating or a weight, so every row is a liking")
    elif events.value is not None:
        span = f"{events.value.min():g} .. {events.value.max():g}"
        yield noted(f"    value: {scalar(log.value)}", f"{why(given['value'])}; {span}")
        yield positive_line(log, source)
    if log.bad_rows == "leave_out":
        bad = unreadable(events.left_out)
        left = told(bad) if bad else "as you said; there are none yet"
        yield noted("    bad_rows: leave_out", left)
    else:
        yield noted("    # bad_rows: refuse", "rows without a time or a value that can be read; or leave_out")
    yield noted("    # repeats: keep", "of one user and item: keep all rows, the first or the last")


def positive_line(log: Interactions, source: Source) -> str:
    """From which value a row is a liking, and how many are."""
    if log.positive is None:
        return noted("    # positive:", "every row is a liking; give the least value that is one")
    liked = f"{int(source.events.positive.sum()):,} rows are likings"
    values = source.events.value
    reason = "of stars" if log.value and values is not None and of_stars(log.value, values) else "above zero"
    return noted(f"    positive: {log.positive:g}", f"{reason}; {liked}, the others count as seen")


def table_lines(name: str, table: Attributes, folder: Path) -> Iterator[str]:
    """A table of items or users: each column that a model may read on a line of its own, with what is in it."""
    rows = read_table(table.path, table.columns(), text=[table.id])
    yield f"  {name}:"
    yield noted(f"    path: {scalar(seen_from(folder, table.path))}", f"{rows.num_rows:,} rows")
    yield noted(f"    id: {scalar(table.id)}", "the ids of the log")
    for kind, meaning in KINDS.items():
        columns: tuple[str, ...] = getattr(table, kind)
        if columns:
            yield noted(f"    {kind}:", meaning)
        for column in columns:
            yield noted(f"      - {scalar(column)}", inside(rows[column], shown=name == "items"))
    unread = [column for column in names_in(table.path) if column not in table.columns()]
    if unread:
        yield f"    # not read, as dates, links, keys or the same in every row: {one_line(', '.join(unread))}"


def inside(column: pa.ChunkedArray, shown: bool) -> str:
    """How much of a column is filled, and with what; of users no value is shown, as it may be somebody's own."""
    there = pc.drop_null(column)
    filled = f"{len(there) / max(len(column), 1):.0%} filled"
    first = next((value for value in there[:FEW].to_pylist() if value not in ("", [])), None) if shown else None
    said = f"{first:g}" if isinstance(first, float) else shorten(repr(first))
    return filled if first is None else f"{filled}, such as {said}"


def settings(section: str, indent: int) -> Iterator[str]:
    """The common keys of a section with their defaults, commented out, each with what it is."""
    opened: list[str] = []
    for key, meaning in SETTINGS.items():
        first, *between, last = key.split(".")
        if first != section:
            continue
        if between and between != opened:
            yield f"# {' ' * indent}{between[0]}:"
        opened = between
        value = yaml.safe_dump(default_of(key)).partition("\n")[0]
        yield noted(f"# {' ' * (indent + 2 * len(between))}{last}: {value}", meaning)


def default_of(key: str) -> Any:
    """The default of a key, as the types of the configuration have it."""
    fields: dict[str, Any] = {"data": {"interactions": {"path": "x"}}, "nightly": {"bundle": "x", "out": "x"}}
    value: Any = Config.of(fields, "the defaults").model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def why(given: str | None) -> str:
    """Where a column's meaning comes from."""
    return "by its name" if given is None else "as you said"


def noted(line: str, note: str) -> str:
    """A line with a note, in one column where that is possible."""
    return f"{line:<{COLUMN}} # {one_line(note)}"  # YAML wants the blank


def one_line(text: str) -> str:
    """Text from a file, fit for a comment: no line breaks and no control characters."""
    plain = "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
    return shorten(plain, 160)


def scalar(value: str | Path) -> str:
    """A text as YAML writes it, on one line."""
    return yaml.safe_dump([str(value)], default_flow_style=True, allow_unicode=True, width=10**9).strip()[1:-1]


def seen_from(folder: Path, path: Path) -> Path:
    """A path as the configuration in `folder` should name it."""
    whole = path.absolute().parent.resolve() / path.name
    return whole.relative_to(folder) if whole.is_relative_to(folder) else whole
