"""How far a step has come: a row on a terminal, a line of log a minute elsewhere, silence when asked for.

A row is a bar with the time that is left, or the time so far where nobody knows how much there is to do. Steps inside a
step have their rows below.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from rec_export.logs import is_json

log = logging.getLogger("rec_export")
SECONDS_BETWEEN_LINES = 60.0
PULSE = 1.0  # seconds; who waits for others says so as often, by `still_at`
T = TypeVar("T")
Watcher = Callable[[str, int, int], None]
WATCHER: ContextVar[Watcher | None] = ContextVar("WATCHER", default=None)
SCREEN: ContextVar[Progress | None] = ContextVar("SCREEN", default=None)  # the rows that are on the terminal


def track(steps: Iterable[T], total: int, what: str, *, logged: bool = True) -> Iterator[T]:
    """Yield `steps`, telling on stderr how many of `total` are done, so that results on stdout stay clean.

    `logged`: elsewhere than on a terminal too; not so for steps that say something themselves, such as epochs.
    """
    console, watcher = Console(stderr=True), WATCHER.get()
    shown = bar(steps, total, what, console) if seen_on(console) else lines(steps, total, what) if logged else steps
    for done, step in enumerate(shown):
        if watcher is not None:
            watcher(what, done, total)
        yield step


def still_at(what: str, done: int, total: int) -> None:
    """Tell the watcher alone, if there is one, that a step goes on; called by who waits for others to do it."""
    watcher = WATCHER.get()
    if watcher is not None:
        watcher(what, done, total)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """In the block `watcher` is called with what is done, how much of it, and of how much, at every step."""
    token = WATCHER.set(watcher)
    try:
        yield
    finally:
        WATCHER.reset(token)


def seen_on(console: Console) -> bool:
    """Whether a person looks, who did not ask for silence."""
    return console.is_terminal and not is_json() and log.isEnabledFor(logging.INFO)


@contextmanager
def busy(what: str, console: Console | None = None) -> Iterator[None]:
    """A step that cannot tell how far it has come: on a terminal how long it lasts already, elsewhere nothing."""
    console = console or Console(stderr=True)
    if not seen_on(console):
        yield
        return
    with row(what, None, console):
        yield


def bar(steps: Iterable[T], total: int, what: str, console: Console) -> Iterator[T]:
    """A bar that disappears when it is full."""
    with row(what, total, console) as (progress, task):
        yield from progress.track(steps, total=total, task_id=task)


@contextmanager
def row(what: str, total: int | None, console: Console) -> Iterator[tuple[Progress, TaskID]]:
    """A row on the terminal while the block lasts, below those of the steps around it."""
    around = SCREEN.get()
    if around is not None:
        task = around.add_task(what, total=total)
        try:
            yield around, task
        finally:
            around.remove_task(task)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), Count(), Clock())
    with Progress(*columns, console=console, transient=True) as progress:
        SCREEN.set(progress)
        try:
            yield progress, progress.add_task(what, total=total)
        finally:
            SCREEN.set(None)


@final
class Count(MofNCompleteColumn):
    """How many of how many, where that is known."""

    def render(self, task: Task) -> Text:
        """Such as 3/9."""
        return Text("") if task.total is None else super().render(task)


@final
class Clock(TimeRemainingColumn):
    """The time that is left, or the time so far."""

    def render(self, task: Task) -> Text:
        """Such as 0:00:26."""
        if task.total is None:
            return Text(f"{task.elapsed or 0:.0f} s", style="progress.elapsed")
        return super().render(task)


def lines(steps: Iterable[T], total: int, what: str) -> Iterator[T]:
    """A line a minute, so that a short step says nothing."""
    said = time.monotonic()
    for done, step in enumerate(steps):
        if time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            fields = {"step": what, "done": done, "total": total}
            log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}", extra=fields)
        yield step
