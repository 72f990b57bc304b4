"""Figures as SVG that lives in the page: text stays text, and colours are those of the page, light or dark."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from itertools import count
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator, NullFormatter

from rec_export.report.page import Figure

Dash = str | tuple[float, tuple[float, ...]]

INK, MUTED, LINE = "#010203", "#010204", "#010205"
SERIES = tuple(f"#0102f{place}" for place in range(7))
"""Stand for the variables of style.css, as matplotlib knows colours alone."""
DASHES: tuple[Dash, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (5, 2, 1, 2)),
    (0, (8, 3)),
    (0, (2, 2)),
)
"""One fewer than colours, so that 42 series differ in one or the other."""
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", **{c: f"--s{n}" for n, c in enumerate(SERIES)}}
LONGEST = 30  # letters of a name
LEGEND = 33  # characters of a line of a legend: of the widest letters no more fit beside the axes
SIZE = 4.4, 2.9  # inches of 72 points; the page makes them as wide as there is room
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rec-export",
    "text.parse_math": False,  # an id may hold dollars
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "grid.color": LINE,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "axes.formatter.limits": (-4, 5),
}
numbers = count(1)


def colour(place: int) -> str:
    """The colour of a series."""
    return SERIES[place % len(SERIES)]


def dashes(place: int) -> Dash:
    """The dashes of a series, so that nobody depends on its colour."""
    return DASHES[place % len(DASHES)]


def figure(draw: Callable[[Axes], None], caption: str, alt: str, size: tuple[float, float] = SIZE) -> Figure:
    """Let `draw` draw on axes; `alt` says in words what there is to see."""
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has fonts of its own
        canvas = Canvas(figsize=size, layout="constrained")
        axes = canvas.add_subplot()
        draw(axes)
        legend = axes.get_legend()
        for said in legend.get_texts() if legend else ():
            said.set_text(clipped(said.get_text(), LEGEND))
        file = io.StringIO()
        canvas.savefig(
            file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    return Figure(Markup(adapted(file.getvalue(), next(numbers), alt)), caption, alt)  # escaped here


def clipped(name: str, most: int = LONGEST) -> str:
    """A name as there is room for in a figure: of a path the end."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def adapted(svg: str, number: int, alt: str) -> str:
    """matplotlib's file as a part of a page: no prologue, ids of its own, the page's colours and letters."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)
    assert box is not None
    rest = re.sub(r"<!--.*?-->", "", rest, flags=re.DOTALL)
    rest = re.sub(r"<[^>]+>", lambda tag: of_the_page(tag[0], number), rest)  # and no word between tags
    head = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} role="img" aria-label="{escape(alt)}"'
    return f"{head}>{rest}".strip()


def of_the_page(tag: str, number: int) -> str:
    """A tag with ids of its own, and the page's colours and letters."""
    tag = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>f{number}-", tag)
    tag = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", tag)
    for placeholder, variable in VARIABLES.items():
        tag = tag.replace(placeholder, f"var({variable})")
    return tag


def logarithmic(axes: Axes, along: str) -> None:
    """Logarithmic axes whose ticks are plain numbers, as formulas are not drawn."""
    for name in along:
        axis = {"x": axes.xaxis, "y": axes.yaxis}[name]
        axes.set(**{f"{name}scale": "log"})
        axis.set_major_formatter(lambda value, place: f"{value:,.0f}" if value >= 1 else f"{value:g}")
        axis.set_minor_formatter(NullFormatter())


def whole_numbers(axes: Axes) -> None:
    """Ranks and epochs: no ticks between them."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


@contextmanager
def bare(axes: Axes) -> Iterator[Axes]:
    """Axes of names along y, such as bars: the grid runs across."""
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    yield axes
