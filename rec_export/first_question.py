"""What the columns of a log do not tell is asked of the person at the terminal, with all of them in sight."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from rec_export.data.guess import NEEDED, Given, roles_of
from rec_export.data.moments import perhaps_times
from rec_export.data.read import read_table, types_in
from rec_export.errors import UsageError, nearest, shorten
from rec_export.words import listed

Say = Callable[[str], None]
Read = Callable[[str], str | None]
"""What an answer means. Raises UsageError for one that means nothing."""
Ask = Callable[[str, Read], str | None]
"""Ask a question until the answer means something."""


def answered(given: Given, say: Say, ask: Ask) -> Given:
    """What was said of the log, with the answers to what it leaves open; nothing is asked where nothing is open, or
    where too few columns are left to answer with.
    """
    types = types_in(given.log)
    roles = roles_of(given.log, given.columns())
    unsaid = [role for role in NEEDED if roles[role] is None]
    rest = {name: kind for name, kind in types.items() if name not in roles.values()}
    if roles["time"] is None and perhaps_times(given.log, rest):  # which one, only a person knows
        unsaid.append("time")
    free = [name for name in types if name not in roles.values()]
    if not unsaid or len(free) < sum(role in NEEDED for role in unsaid):
        return given
    for line in shown(given.log, types, roles, unsaid):
        say(line)
    answers: dict[str, str | None] = {}
    for role in unsaid:
        needed = role in NEEDED
        told = ask(f"Which column is the {role}?{'' if needed else ' (Enter: none)'}", reader(free, needed))
        answers[role] = told
        free = [name for name in free if name != told]
    return given.model_copy(update=answers)


def shown(
    log: Path, types: Mapping[str, pa.DataType], roles: Mapping[str, str | None], unsaid: list[str]
) -> Iterator[str]:
    """Each column of the log, its type, and what it is taken for."""
    taken = {name: role for role, name in roles.items() if name is not None}
    free = [name for name in types if name not in taken]
    samples = {name: such_as(column) for name, column in zip(free, read_table(log, free).columns, strict=True)}
    width = max(map(len, types))
    yield f"The names of the columns of {log} do not tell {listed(f'the {role}' for role in unsaid)}:"
    for name, kind in types.items():
        yield f"  {name:<{width}}  {kind!s:<13}  {taken.get(name) or samples[name]}".rstrip()


def such_as(column: pa.ChunkedArray) -> str:
    """The first value of a column, for a person who knows what it is."""
    there = column.drop_null()
    return f"such as {shorten(repr(there[0].as_py()), 40)}" if len(there) else ""


def reader(names: list[str], needed: bool) -> Read:
    """One of the columns that are free; where none is needed, an empty answer is none."""

    def read(answer: str) -> str | None:
        name = answer.strip()
        if not name and not needed:
            return None
        if name not in names:
            raise UsageError(f"no column that is free is called {name!r}{nearest(name, names)}")
        return name

    return read
