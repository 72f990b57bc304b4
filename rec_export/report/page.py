"""The page: sections of figures and tables as one HTML file that needs nothing but itself.

All text is escaped by Jinja2; figures come from matplotlib, which escapes for itself. A content security policy lets
the browser run our own script, by its hash, and nothing else.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rec_export import __version__
from rec_export.metrics import Estimate

MOST_TOLD = 6  # models of which a headline speaks


class Cell(NamedTuple):
    """What stands in a table, and by what it is sorted; numbers stand to the right."""

    text: str
    value: float | None = None
    tone: str = ""  # good, bad or warn, which is also said in words


class Table(NamedTuple):
    """Rows under a head; a click on a head sorts by it."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]

    @property
    def kind(self) -> str:
        """For the template."""
        return "table"


class Figure(NamedTuple):
    """A drawing with what it says in words, for those who cannot see it."""

    svg: Markup
    caption: str
    alt: str

    @property
    def kind(self) -> str:
        """For the template."""
        return "figure"


class Note(NamedTuple):
    """A sentence between others."""

    text: str

    @property
    def kind(self) -> str:
        """For the template."""
        return "note"


class Section(NamedTuple):
    """One question and its answer: a headline says what one sees."""

    key: str
    title: str
    headline: str
    blocks: Sequence[Table | Figure | Note]


def together(sentences: Sequence[str]) -> str:
    """One headline of what is said of several models: of many the first three."""
    more = len(sentences) - MOST_TOLD
    return " ".join(sentences[:MOST_TOLD]) + (f" {more} more below." if more > 0 else "")


def page(
    title: str, lead: list[str], remarks: list[str], sections: list[Section], made_at: str, several: bool = False
) -> str:
    """The whole file; remarks are what a reader must not miss. `several`: it is about several models."""
    here = files(__package__)
    style, script, template = (
        (here / name).read_text(encoding="utf-8") for name in ("style.css", "script.js", "page.html.j2")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title,
        lead=lead,
        remarks=remarks,
        sections=sections
        if several
        else [one._replace(blocks=[plain(block) for block in one.blocks]) for one in sections],
        style=Markup(style),  # our own file
        script=Markup(script),  # our own file
        digest=digest,
        version=__version__,
        made_at=made_at,
    )


def plain(block: Table | Figure | Note) -> Table | Figure | Note:
    """A table without the column that tells models apart."""
    if not isinstance(block, Table) or block.head[0] not in ("model", "evaluation"):
        return block
    return block._replace(head=block.head[1:], rows=[row[1:] for row in block.rows])


def text(value: object) -> Cell:
    """A word."""
    return Cell(str(value))


def number(value: float | None, form: str = ",.4g") -> Cell:
    """A number, sorted as one; nothing where there is none."""
    return Cell("") if value is None else Cell(format(value, form), float(value))


def count(value: int) -> Cell:
    """A whole number."""
    return Cell(f"{value:,}", float(value))


def estimate(value: Estimate, form: str = ".4f") -> Cell:
    """A mean and its interval, sorted by the mean."""
    return Cell(f"{short(value.mean, form)} [{short(value.low, form)}, {short(value.high, form)}]", value.mean)


def short(value: float, form: str = ".4f") -> str:
    """A share without its leading zero; other numbers as they are."""
    said = format(value, form)
    return said.replace("0.", ".", 1) if abs(value) < 1 else said
