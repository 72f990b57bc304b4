"""How far a step has come: a bar on a terminal, a line of log a minute elsewhere, silence when asked for."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rec_export.logs import is_json

log = logging.getLogger("rec_export")
SECONDS_BETWEEN_LINES = 60.0
PULSE = 1.0  # seconds; who waits for others says so as often, by `still_at`
T = TypeVar("T")
Watcher = Callable[[str, int, int], None]
WATCHER: ContextVar[Watcher | None] = ContextVar("WATCHER", default=None)


def track(steps: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield `steps`, telling on stderr how many of `total` are done, so that results on stdout stay clean."""
    console, watcher = Console(stderr=True), WATCHER.get()
    with_bar = console.is_terminal and not is_json() and log.isEnabledFor(logging.INFO)  # not so with --quiet
    shown = bar(steps, total, what, console) if with_bar else lines(steps, total, what)
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


def bar(steps: Iterable[T], total: int, what: str, console: Console) -> Iterator[T]:
    """A bar that disappears when it is full."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(steps, total=total, description=what)


def lines(steps: Iterable[T], total: int, what: str) -> Iterator[T]:
    """A line a minute, so that a short step says nothing."""
    said = time.monotonic()
    for done, step in enumerate(steps):
        if time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            fields = {"step": what, "done": done, "total": total}
            log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}", extra=fields)
        yield step
