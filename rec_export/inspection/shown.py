"""What is told of a path: facts for machines, tables for people."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rec_export.errors import shorten
from rec_export.words import printable

Row = tuple[str, ...]
LONGEST = 200  # characters of a cell


@final
class Section(NamedTuple):
    """A table; `head` is empty where the first column names the second."""

    title: str
    rows: tuple[Row, ...]
    head: Row = ()


@final
class Inspection(NamedTuple):
    """What a path holds."""

    kind: str
    path: Path
    verified: str | None  # which files are proved to be as they were written, and by what; None: nothing tells
    facts: dict[str, Any]
    sections: tuple[Section, ...]

    def as_json(self) -> dict[str, Any]:
        """The facts, with what they are of."""
        return {"kind": self.kind, "path": str(self.path), "verified": self.verified, **self.facts}

    @property
    def proof(self) -> str:
        """What was verified, as a line."""
        return f"verified  {self.verified}" if self.verified else "NOT VERIFIED  it lies in no bundle that has its hash"

    def lines(self) -> Iterator[str]:
        """Plain text, for pipes and files."""
        yield f"{self.kind}  {plain(self.path)}"
        yield self.proof
        for section in self.sections:
            yield from ("", section.title)
            yield from columns(section)

    def show(self, console: Console) -> None:
        """Tables, for a terminal."""
        console.print(Text(f"{self.kind}  {plain(self.path)}", style="bold"))
        console.print(Text(self.proof, style="green" if self.verified else "yellow"))
        for section in self.sections:
            console.print(drawn(section))


def table(title: str, rows: Iterable[Iterable[object]], head: Row = ()) -> tuple[Section, ...]:
    """A section of what can be shown on one line each; none where there are no rows."""
    told = tuple(tuple(plain(cell) for cell in row) for row in rows)
    return (Section(title, told, head),) if told else ()


def plain(cell: object) -> str:
    """One short line that a terminal shows as it is: a label of a stranger's file may hold anything."""
    return shorten(printable(cell), LONGEST)


def columns(section: Section) -> Iterator[str]:
    """The rows, each cell as wide as the widest of its column."""
    rows = [section.head, *section.rows] if section.head else list(section.rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def drawn(section: Section) -> Table:
    """The same for a terminal."""
    drawing = Table(title=section.title, title_justify="left", box=SIMPLE_HEAD, show_header=bool(section.head))
    for name in section.head or ("",) * len(section.rows[0]):
        drawing.add_column(name, overflow="fold")
    for row in section.rows:
        drawing.add_row(*map(Text, row))
    return drawing


def size(number: int) -> str:
    """Bytes as a person says them."""
    return f"{number / 1e6:,.1f} MB" if number >= 1e6 else f"{number / 1e3:,.1f} kB"


def typed(port: dict[str, Any]) -> str:
    """dtype and shape of an input or output, such as int64[B,L]."""
    return f"{port['dtype']}[{','.join(map(str, port['shape']))}]"
