"""An explanation as a record, and as tables that fit a terminal."""

import io
from collections.abc import Iterable
from typing import final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rec_export.lists import plain
from rec_export.record import Record
from rec_export.words import counted

Id = str | int
WIDTH = 120
SHOWN = 3  # places that a format's list is told of
SOURCE_WORDS = {
    "model": "the model was trained on this user",
    "cold": "the model was not trained on this user, but knows the history or the attributes",
    "fallback": "nothing that the model reads is known of this user",
}

HABIT = "habit"  # the term for what the user liked before


@final
class Met(Record):
    """An item that the user liked."""

    item: Id
    title: str | None
    at: str | None


@final
class Place(Record):
    """An item at its rank, and the terms of its score, which add up to it."""

    rank: int
    item: Id
    title: str | None
    score: float
    terms: tuple[float, ...]
    choice: float | None = None  # its value in the choice for diversity, which is the published score then
    out: str | None  # why the user cannot get it
    trained: bool  # whether the model knows the item's id
    times: int | None = None  # how often the user has liked it, where that counts
    days: float | None = None  # since the last time

    def said(self, term: str, value: float) -> str:
        """One of the terms; of a habit with what it is made of."""
        if term != HABIT or self.times is None:
            return f"{value:+.3f}"
        return f"{value:+.3f} ({self.times}x{'' if self.days is None else f', {self.days:.1f} days'})"


@final
class Hidden(Record):
    """An item that would stand in the list, but for a rule."""

    item: Id
    title: str | None
    score: float
    place: int  # its rank if there were no rule
    rule: str


@final
class Wanted(Record):
    """An item that was asked for, or that the user liked next: where it stands, and why."""

    item: Id
    title: str | None = None
    why: str
    said: str
    rank: int | None = None
    among: int | None = None  # items that may be recommended
    told: Place | None = None


@final
class Artefact(Record):
    """The list by one exported format."""

    format: str
    items: tuple[Id, ...]
    worst: float  # the largest difference of a score from the list above


@final
class Explained(Record):
    """One user's list, and why it is so."""

    user: Id
    source: str
    served: bool  # by the model; otherwise by popularity
    bundle: str
    model: str
    run: str | None
    as_of: str | None
    k: int
    shown: int  # places, at most, in a terminal
    seen: str
    terms: tuple[str, ...]
    splits: bool  # whether every term is a sum over places of the vectors
    gate: dict[str, float]
    history: tuple[Met, ...]  # the newest first
    liked: int
    met: int  # items, liked or not
    disliked: tuple[Id, ...] = ()  # of what was met and not liked, the newest first
    list: tuple[Place, ...]
    hidden: tuple[Hidden, ...]
    asked: tuple[Wanted, ...]
    artefacts: tuple[Artefact, ...]
    published: tuple[Id, ...] | None

    def text(self) -> str:
        """For a terminal."""
        file = io.StringIO()
        console = Console(file=file, width=WIDTH, highlight=False)
        for part in (
            *self.head(),
            self.history_table() if self.history else f"liked {self.liked:,} items, met {self.met:,}",
            *([f"met and not liked, the newest: {', '.join(map(plain, self.disliked))}"] if self.disliked else []),
            "",
            *self.list_part(),
            *self.hidden_part(),
            *self.asked_part(),
        ):
            console.print(part if isinstance(part, Table) else Text(part), soft_wrap=True)
        for line in ("", *self.agreement()):
            console.print(Text(line), soft_wrap=True)
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def head(self) -> Iterable[str]:
        """Who, by what, and how far the list is the model's."""
        yield f"{plain(self.user)}: {self.source}, as {SOURCE_WORDS[self.source]}"
        date = f", as of {self.as_of}" if self.as_of else ""
        yield f"{self.model} of {self.bundle}{date}" + (f"; published in {self.run}" if self.run else "")
        if not self.served:
            unmet = "" if self.seen == "keep" else ", without what the user has met"
            yield f"The list is by {self.terms[0]}{unmet}."
        elif self.source == "fallback":
            yield "The list is what the model learned that newcomers like first."
        yield ""

    def history_table(self) -> Table:
        """What the user liked."""
        table = bare(f"liked {self.liked:,} items, met {self.met:,}; the newest by their first time:")
        titled = any(one.title for one in self.history)
        for name in ("when", "item", "title") if titled else ("when", "item"):
            table.add_column(name)
        for one in self.history:
            table.add_row(one.at or "", *named(one, titled))
        return table

    def list_part(self) -> Iterable[str | Table]:
        """The list with the terms of its scores."""
        if self.gate:
            yield "gate: " + ", ".join(f"{name} {share:.3f}" for name, share in self.gate.items())
        cut = f"; the first {self.shown} of them" if self.shown < len(self.list) else ""
        table = bare(f"the list: {self.length()}{cut}")
        varied = any(one.choice is not None for one in self.list)
        table.add_column("rank", justify="right")
        titled = any(one.title for one in self.list)
        table.add_column("item")
        if titled:
            table.add_column("title")
        table.add_column("score", justify="right")
        for name in self.terms:
            table.add_column(f"+ {name}", justify="right")  # a term may be called as another column is
        if varied:
            table.add_column("choice", justify="right")
        for one in self.list[: self.shown]:
            terms = zip(self.terms, one.terms, strict=True)
            numbers = [f"{one.score:.4f}", *(one.said(name, value) for name, value in terms)]
            numbers += [] if one.choice is None else [f"{one.choice:.4f}"]
            table.add_row(str(one.rank), *named(one, titled), *numbers)
        yield table
        if varied:
            yield "The order is that of the choice for diversity, whose value is the published score."
        if not self.served:
            return
        if len(self.terms) == 1 and self.splits:
            yield "The score is one dot product, whose places the model does not tell apart."
        elif len(self.terms) == 1:
            yield "This head does not split: its score is one term."
        else:
            rest = "" if self.splits else "; that of the MLP is what is left, as its parts have no numbers of their own"
            yield f"The terms add up to the score{rest}. They rank within one user's list alone."

    def length(self) -> str:
        """How many items the list has, and where it has fewer than it may have, why."""
        items = counted(len(self.list), "item")
        if len(self.list) >= self.k:
            return f"{items}, as many as a list may have"
        others = "the user has met all others" if self.seen == "exclude" else "there are no others"
        return f"{items}, fewer than the {self.k:,} that a list may have: {others}, or a rule keeps them out"

    def hidden_part(self) -> Iterable[str | Table]:
        """What a rule kept out."""
        if not self.hidden:
            return
        table = bare("kept out of the list, the best first:")
        titled = any(one.title for one in self.hidden)
        for name in ("place", "item", *(("title",) if titled else ()), "score", "why"):
            table.add_column(name, justify="right" if name in ("place", "score") else "left")
        for one in self.hidden:
            table.add_row(str(one.place), *named(one, titled), f"{one.score:.4f}", one.rule)
        yield from ("", table)

    def asked_part(self) -> Iterable[str]:
        """Where items stand that were asked for, or liked next."""
        for one in self.asked:
            where = "" if one.rank is None else f"rank {one.rank:,} of {one.among:,}, "
            score = "" if one.told is None else f"score {one.told.score:.4f} ("
            parts = "" if one.told is None else ", ".join(
                f"{name} {one.told.said(name, value)}" for name, value in zip(self.terms, one.told.terms, strict=True)
            ) + "): "  # fmt: skip
            title = f" {plain(one.title)}" if one.title else ""
            yield ""
            yield f"{one.why}: {plain(one.item)}{title}: {where}{score}{parts}{one.said}"

    def agreement(self) -> Iterable[str]:
        """Whether every format gives the same list."""
        mine = tuple(one.item for one in self.list)
        for one in self.artefacts:
            yield f"{one.format:<12} {alike(one.items, mine)}, scores differ by {one.worst:.1e} at most"
        if self.published is not None:
            yield f"{'published':<12} {alike(self.published, mine) if self.published else 'no list'}"


def alike(theirs: tuple[Id, ...], mine: tuple[Id, ...]) -> str:
    """Whether a list is the one above, and from where on it is not."""
    if theirs == mine:
        return "the same items in the same order"
    parted = next((at for at, (one, other) in enumerate(zip(theirs, mine, strict=False)) if one != other), None)
    if parted is None:
        return f"ANOTHER list, of {len(theirs)} places"
    return f"ANOTHER list, at place {parted + 1} {', '.join(map(plain, theirs[parted : parted + SHOWN]))}"


def named(one: Met | Place | Hidden, titled: bool) -> tuple[Text, ...]:
    """The cells that say which item it is: its id, and its title where the catalogue has titles."""
    return (Text(plain(one.item)), *((Text(plain(one.title or "")),) if titled else ()))


def bare(title: str) -> Table:
    """A table without lines."""
    return Table(title=title, title_justify="left", title_style="", box=None, padding=(0, 2, 0, 0), header_style="dim")
