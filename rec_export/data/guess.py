"""A guess at what the columns of a log are, by names and types, for a first run without a config."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.broken import readable
from rec_export.data.columns import Float32, floats, is_text
from rec_export.data.config import BadRows, DataConfig, Interactions, TimeUnit
from rec_export.data.kinds import guess_attributes
from rec_export.data.log import refused_in_full
from rec_export.data.moments import moments_of
from rec_export.data.names import ITEM, RATING, STARS, TIME, USER, WEIGHT, match
from rec_export.data.read import in_every_part, left_out, names_in, parts_of, read_table, types_in
from rec_export.data.times import times
from rec_export.errors import UsageError, shorten
from rec_export.progress import in_parts, passed
from rec_export.record import Record

NEEDED = ("user", "item")  # of the roles that a log's columns have
PLACES = 4  # after the point, in which prices and weights are written
FEWEST = 4  # different values from which numbers up to 5 are taken for stars


@final
class Given(Record):
    """What the user said of the files; what is None is guessed."""

    log: Path
    items: Path | None = None
    users: Path | None = None
    user: str | None = None
    item: str | None = None
    time: str | None = None
    time_unit: TimeUnit = "auto"
    value: str | None = None
    positive: float | None = None
    bad_rows: BadRows = "refuse"

    def columns(self) -> dict[str, str | None]:
        """The log's columns that were named."""
        return {"user": self.user, "item": self.item, "time": self.time, "value": self.value}


def guess_data(given: Given) -> DataConfig:
    """The section `data` that the user could have written, with paths from the working directory.

    Raises UsageError for all together that cannot be told.
    """
    refuse_empty(given.columns())
    with in_parts(f"looking at the columns of {given.log.name}", 4):
        return guessed(given)


def guessed(given: Given) -> DataConfig:
    """The same, as the parts of a step."""
    plain, slips = read_table(given.log, None), []
    roles = roles_of(given.log, given.columns())
    for what, path in (("user", given.users), ("item", given.items)):
        if roles[what] is None and path is not None:
            roles[what] = key_in_both(path, [name for name in plain.column_names if name not in roles.values()])
    whole = with_fields(plain, given.log, roles)
    passed(2)  # of four, as it takes longest
    unsaid = [what for what in NEEDED if roles[what] is None]
    if unsaid:
        slips.append(untold(given.log, unsaid))
    tables = {}
    for name, path, key, known in (
        ("items", given.items, roles["item"], ITEM),
        ("users", given.users, roles["user"], USER),
    ):
        tables[name] = None if path is None else guess_attributes(path, key, known)
        there = [] if path is None else names_in(path)
        if path is not None and tables[name] is None and (key is not None or not {*there} & {*plain.column_names}):
            called = "as in the log" if key is None else f"{key!r} as in the log"
            has = ", ".join(there)
            slips.append(f"cannot tell which column of {path} is the id; call it {called}. It has: {has}")
    if slips:
        raise UsageError(". And ".join(slips))
    passed()
    log = guess_log(given, whole, roles)
    return DataConfig(interactions=log, **tables).relative_to(Path.cwd())


def key_in_both(path: Path, names: list[str]) -> str | None:
    """The one column of a table that is called as one of the log and names each of its rows; None: cannot be told."""
    both = [name for name in names_in(path) if name in names]
    table = read_table(path, both) if both else pa.table({})
    keys = [name for name in both if is_key(table[name])]
    return keys[0] if len(keys) == 1 else None


def is_key(column: pa.ChunkedArray) -> bool:
    """Whether a column may hold ids, and holds each once."""
    whole = is_text(column.type) or pa.types.is_integer(column.type)
    return whole and len(column) > 1 and pc.count_distinct(column, mode="all").as_py() == len(column)


def refuse_empty(given: Mapping[str, str | None]) -> None:
    """Raise UsageError where a name is empty."""
    empty = next((what for what, name in given.items() if name == ""), None)
    if empty is not None:
        without = "; to learn without time, remove `time` from what `rec-export init` writes" if empty == "time" else ""
        raise UsageError(f"--{empty} is empty; name a column, or leave --{empty} out to have it guessed{without}")


def with_fields(table: pa.Table, path: Path, roles: Mapping[str, str | None]) -> pa.Table:
    """A log with the fields of objects that stand for something too. Raises UsageError where a name is a slip."""
    inside = [name for name in dict.fromkeys(roles.values()) if name and name not in table.column_names]
    if inside:  # objects; or a slip, which is refused
        table = pa.table([*table.columns, *read_table(path, inside).columns], [*table.column_names, *inside])
    return table


def roles_of(log: Path, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """The column that is the user, the item, the time and the value, as said or by its name; None: cannot be told.

    Objects may hold the ids of users and items, called `id`; a time or a number there may be anything's. A value that
    a part of a folder lacks is none.
    """
    types, flat = types_in(log), {*names_in(log)}
    names = [name for name in types if name in flat]
    moments = moments_of({name: types[name] for name in names})
    inside = {name: kind for name, kind in types.items() if name not in flat and name.endswith(".id")}
    keys = names + [name for name, kind in inside.items() if is_text(kind) or pa.types.is_integer(kind)]
    called = [name for name in in_every_part(log, names) if match(RATING + WEIGHT, [name])]
    values = [name for name in called if holds_numbers(log, name, types[name])]
    return {
        "user": given["user"] or match(USER, keys),
        "item": given["item"] or match(ITEM, keys),
        "time": given["time"] or match(TIME, names) or (moments[0] if len(moments) == 1 else None),
        "value": given["value"] or match(RATING, values) or match(WEIGHT, values),
    }


def holds_numbers(log: Path, name: str, kind: pa.DataType) -> bool:
    """Whether a column that is called like a value may be one: where no cell has a digit, it holds words."""
    return not is_text(kind) or bool(pc.any(pc.match_substring_regex(read_table(log, [name])[name], "[0-9]")).as_py())


def guess_log(given: Given, table: pa.Table, roles: Mapping[str, str | None]) -> Interactions:
    """The log's columns, of which the user and the item are known; refuses what cannot be read as they are."""
    path, user, item, time, value = given.log, roles["user"], roles["item"], roles["time"], roles["value"]
    assert user is not None
    assert item is not None
    if table[user].null_count or table[item].null_count:  # as they are where a part has no such column
        refuse_other_tables(path, (user, item))
    fields = {"path": path, **roles, "time_unit": given.time_unit, "bad_rows": given.bad_rows}
    rest, positive = Interactions.of(fields, f"the columns of {path}"), given.positive
    if given.bad_rows == "leave_out":
        table, _ = readable(table, rest)
    with refused_in_full(rest):
        if time is not None:
            times(table[time], given.time_unit, f"column {time!r} of {path}")  # refuses what would land in 1970
        if value is not None and positive is None:
            positive = threshold(value, floats(table[value], f"column {value!r} of {path}"))
    return rest.model_copy(update={"positive": positive})


def refuse_other_tables(folder: Path, needed: tuple[str, str]) -> None:
    """Raise UsageError where a folder of parts holds a file that is no part of the log."""
    parts = parts_of(folder)
    for part in parts if len(parts) > 1 else []:  # of one part the names are known
        there = names_in(part, inside=True)
        missing = [name for name in needed if name not in there]
        if missing:
            raise UsageError(
                f"{part} has no column {missing[0]!r}, so the folder {folder} holds more than the parts of one log;"
                " name the log's own file, and the tables of items and users by --items and --users"
            )


def threshold(name: str, values: Float32) -> float | None:
    """The least value that is a liking: 4 of 5 stars or 7 of 10; elsewhere all above zero, if that tells rows apart."""
    high = float(values.max())
    if of_stars(name, values):
        return 4.0 if high == 5 else 7.0
    return least_above_zero(values) if float(values.min()) <= 0 < high else None


def least_above_zero(values: Float32) -> float:
    """One unit of the last decimal place in which values are written, .01 of prices: what comes later may be less than
    all that is there today. The least value above zero, where they are not written in so few places.
    """
    least = float(str(values[values > 0].min()))  # .01, as it was written, not .009999999776
    for places in range(PLACES + 1):
        scaled = values.astype(np.float64) * 10**places
        if (np.abs(scaled - np.rint(scaled)) <= np.abs(scaled) * np.finfo(np.float32).eps).all():
            return min(float(f"1e-{places}"), least)
    return least


def of_stars(name: str, values: Float32) -> bool:
    """Whether a column's name tells of stars; where it says nothing, whether the values run in halves up to 5.

    From 0 they do not: that may be a count, of which 0 is none. Most are 3 or more; most counts are 1 or 2.
    """
    words = re.findall(r"[^\W_]+", name.lower())
    high, plain = float(values.max()), "_".join(words)
    if plain in RATING or STARS.intersection(words):
        return high in (5.0, 10.0)
    if plain in WEIGHT or high != 5 or np.median(values) < 3:
        return False
    steps = np.unique(values)
    return bool(steps[0] in (0.5, 1.0) and len(steps) >= FEWEST and (steps * 2 % 1 == 0).all())


def untold(path: Path, unsaid: list[str]) -> str:
    """A sentence about the roles in a log that no column is known to have."""
    has = shorten(", ".join(names_in(path, inside=True)), 400)
    gone = ", ".join(left_out(path))
    unread = f". Not read, as the type changes from line to line: {shorten(gone, 200)}" if gone else ""
    which = "column of {} is" if len(unsaid) == 1 else "columns of {} are"
    roles, options = (" and ".join(f"{head}{what}" for what in unsaid) for head in ("the ", "--"))
    them = "it" if len(unsaid) == 1 else "them"
    return f"cannot tell which {which.format(path)} {roles}; name {them} with {options}. It has: {has}{unread}"
