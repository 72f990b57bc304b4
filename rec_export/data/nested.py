"""Objects inside rows: a field of one is a column called by its whole path, as `track_metadata.artist_name`."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from io import BufferedReader
from json import JSONDecodeError
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.separated import stream_of

Steps = tuple[str, ...]
KINDS = {str: "text", bool: "bool", int: "int", float: "float"}
TYPES = {
    frozenset({"text"}): pa.string(),
    frozenset({"bool"}): pa.bool_(),
    frozenset({"int"}): pa.int64(),
    frozenset({"float"}): pa.float64(),
    frozenset({"int", "float"}): pa.float64(),
    frozenset({"empty"}): pa.list_(pa.string()),
    frozenset({"texts"}): pa.list_(pa.string()),
    frozenset({"bools"}): pa.list_(pa.bool_()),
    frozenset({"ints"}): pa.list_(pa.int64()),
    frozenset({"floats"}): pa.list_(pa.float64()),
    frozenset({"ints", "floats"}): pa.list_(pa.float64()),
}  # what the values of a field may be, all lines together
LISTS = {
    frozenset[str](): "empty",
    frozenset({"text"}): "texts",
    frozenset({"bool"}): "bools",
    frozenset({"int"}): "ints",
    frozenset({"float"}): "floats",
    frozenset({"int", "float"}): "floats",
}  # by what is in it; other lists are "deep" with objects or lists inside, or else "mixed"


def names(schema: pa.Schema) -> list[str]:
    """The columns by which a table can be asked, those inside objects included."""
    return [".".join(steps) for steps in steps_of(schema)]


def steps_of(fields: Iterable[pa.Field], above: Steps = ()) -> Iterator[Steps]:
    """The way to each field, from the outside in."""
    for field in fields:
        yield (*above, field.name)
        if pa.types.is_struct(field.type):
            yield from steps_of(field.type, (*above, field.name))


def types_of(fields: Iterable[pa.Field], above: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """The columns by which a table can be asked and that are no objects, with their types."""
    for field in fields:
        if pa.types.is_struct(field.type):
            yield from types_of(field.type, f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}", field.type


def chosen(table: pa.Table, columns: list[str] | None) -> pa.Table:
    """The columns of these names; None: all but objects and lists of them."""
    if columns is None:
        return table.select([field.name for field in table.schema if not holds_objects(field.type)])
    way = {".".join(steps): steps for steps in steps_of(table.schema)}
    found = {name: (table[way[name][0]], list(way[name][1:])) for name in columns}
    return pa.table({name: pc.struct_field(outer, inner) if inner else outer for name, (outer, inner) in found.items()})


def holds_objects(kind: pa.DataType) -> bool:
    """Whether a column of this type holds objects, on whatever level."""
    return pa.types.is_struct(kind) or (pa.types.is_nested(kind) and any(map(holds_objects, inner(kind))))


def inner(kind: pa.DataType) -> list[pa.DataType]:
    """The types inside a nested one."""
    return [kind.field(place).type for place in range(kind.num_fields)]


class Common(NamedTuple):
    """The fields of a file of JSON lines whose values have one type in all lines, and the others, which are left out.

    Logs that many programs write have a number here and a text there in some corner that nobody needs.
    """

    schema: pa.Schema
    left_out: tuple[str, ...]


def common(path: Path) -> Common:
    """What the lines of a file have in common. The last files are remembered, as long as they do not change."""
    state = path.stat()
    return common_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def common_of(path: Path, changed: int, size: int) -> Common:
    """The same, of the file as it was then."""
    seen: dict[Steps, set[str]] = {}
    for _, line in lines_of(path):
        note(json.loads(line), (), seen)
    inside: dict[Steps, list[Steps]] = {}
    for steps in seen:
        if steps:
            inside.setdefault(steps[:-1], []).append(steps)
    schema = pa.schema(list(agreeing(seen, inside, ())))
    kept = set(steps_of(schema))
    left = (at for at in seen if at and at not in kept and (at[:-1] in kept or len(at) == 1) and changes(seen[at]))
    return Common(schema, tuple(".".join(at) for at in left))


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1."""
    with stream_of(path) as stream, BufferedReader(stream) as lines:
        yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())


class Damage(NamedTuple):
    """Where a file of JSON lines cannot be read."""

    line: int  # from 1
    why: str


def first_damage(path: Path) -> Damage | None:
    """The first line of a file that is no JSON; None where each one is."""
    for number, line in lines_of(path):
        try:
            json.loads(line.rstrip())
        except JSONDecodeError as error:
            return Damage(number, f"{error.msg} at character {error.pos + 1:,}")
        except UnicodeDecodeError:
            return Damage(number, "no UTF-8 text")
    return None


def changes(kinds: set[str]) -> bool:
    """Whether values are of several types."""
    types = settled(kinds)
    return "mixed" in types or (len(types) > 1 and types not in TYPES)


def settled(kinds: set[str]) -> frozenset[str]:
    """The kinds without the empty list, which fits all other lists."""
    others = frozenset(kinds - {"empty"})
    return others if others and others <= {*LISTS.values(), "deep", "mixed"} else frozenset(kinds)


def kind_of(value: object) -> str:
    """What a value is."""
    if isinstance(value, list):
        kinds = frozenset(kind_of(one) for one in value if one is not None)
        deep = not kinds <= {*KINDS.values()}
        return "deep" if deep else LISTS.get(kinds, "mixed")
    return "object" if isinstance(value, dict) else KINDS[type(value)]


def note(value: object, at: Steps, seen: dict[Steps, set[str]]) -> None:
    """Add the kind of a value, and of all inside it, to what was seen there."""
    if value is None:
        return
    seen.setdefault(at, set()).add(kind_of(value))
    if isinstance(value, dict):
        for name, one in value.items():
            note(one, (*at, name), seen)


def agreeing(seen: dict[Steps, set[str]], inside: dict[Steps, list[Steps]], above: Steps) -> Iterator[pa.Field]:
    """The fields right below a place whose values are of one type; `inside`: the ways that lead on from each place."""
    for steps in inside.get(above, ()):
        kinds = settled(seen[steps])
        if kinds == {"object"}:
            yield pa.field(steps[-1], pa.struct(list(agreeing(seen, inside, steps))))
        elif kinds in TYPES:
            yield pa.field(steps[-1], TYPES[kinds])
