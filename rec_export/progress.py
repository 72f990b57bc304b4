"""How far a step has come: a bar on a terminal, a line of log a minute elsewhere, silence when asked for."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger("rec_export")
SECONDS_BETWEEN_LINES = 60.0
T = TypeVar("T")


def track(steps: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield `steps`, telling on stderr how many of `total` are done, so that results on stdout stay clean."""
    console = Console(stderr=True)
    yield from bar(steps, total, what, console) if console.is_terminal else lines(steps, total, what)


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
            log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}")
        yield step
