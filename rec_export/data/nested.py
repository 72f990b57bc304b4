"""Objects inside rows: a field of one is a column called by its whole path, as `track_metadata.artist_name`."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

Steps = tuple[str, ...]
KINDS = {str: "text", bool: "bool", int: "int", float: "float"}
TYPES = {
    frozenset({"text"}): pa.string(),
    frozenset({"bool"}): pa.bool_(),
    frozenset({"int"}): pa.int64(),
    frozenset({"float"}): pa.float64(),
    frozenset({"int", "float"}): pa.float64(),
    frozenset({"texts"}): pa.list_(pa.string()),
}  # what the values of a field may be, all lines together


def names(schema: pa.Schema) -> list[str]:
    """The columns by which a table can be asked, those inside objects included."""
    return [".".join(steps) for steps in steps_of(schema)]


def steps_of(fields: Iterable[pa.Field], above: Steps = ()) -> Iterator[Steps]:
    """The way to each field, from the outside in."""
    for field in fields:
        yield (*above, field.name)
        if pa.types.is_struct(field.type):
            yield from steps_of(field.type, (*above, field.name))


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


def common_schema(path: Path) -> pa.Schema:
    """The fields of a file of JSON lines whose values have one type in all lines; the others are left out.

    Logs that many programs write have a number here and a text there in some corner that nobody needs.
    """
    seen: dict[Steps, set[str]] = {}
    with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as lines:
        for line in lines:
            if line.strip():
                note(json.loads(line), (), seen)
    return pa.schema(list(agreeing(seen, ())))


def note(value: object, at: Steps, seen: dict[Steps, set[str]]) -> None:
    """Add the kind of a value, and of all inside it, to what was seen there."""
    if value is None:
        return
    if isinstance(value, list):
        kind = "texts" if all(one is None or isinstance(one, str) for one in value) else "list"
    else:
        kind = "object" if isinstance(value, dict) else KINDS[type(value)]
    seen.setdefault(at, set()).add(kind)
    if isinstance(value, dict):
        for name, one in value.items():
            note(one, (*at, name), seen)


def agreeing(seen: dict[Steps, set[str]], above: Steps) -> Iterator[pa.Field]:
    """The fields right below a place whose values are of one type."""
    for steps, kinds in seen.items():
        if steps[:-1] != above or not steps:
            continue
        if kinds == {"object"}:
            yield pa.field(steps[-1], pa.struct(list(agreeing(seen, steps))))
        elif frozenset(kinds) in TYPES:
            yield pa.field(steps[-1], TYPES[frozenset(kinds)])
