"""How far a step has come: a row on a terminal, a line of log a minute elsewhere, silence when asked for.

A row is a bar with the time that is left, as what is done has taken until now. Steps inside a step have their rows
below.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import timedelta
from threading import Event, RLock, Thread
from typing import Any, Self, TypeVar, final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from rec_export.logs import is_json

log = logging.getLogger("rec_export")
SECONDS_BETWEEN_LINES = 60.0
PULSE = 1.0  # seconds; who waits for others says so as often, by `still_at`
DRAWN = 0.1  # seconds between two looks of the rows
T = TypeVar("T")
Watcher = Callable[[str, int, int], None]
WATCHER: ContextVar[Watcher | None] = ContextVar("WATCHER", default=None)
SCREEN: ContextVar["Screen | None"] = ContextVar("SCREEN", default=None)  # the rows that are on the terminal


def track(steps: Iterable[T], total: int, what: str, *, logged: bool = True) -> Iterator[T]:
    """Yield `steps`, telling on stderr how many of `total` are done, so that results on stdout stay clean.

    `logged`: elsewhere than on a terminal too; not so for steps that say something themselves, such as epochs.
    """
    console, watcher = Terminal(stderr=True), WATCHER.get()
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
def in_parts(what: str, parts: int, console: "Terminal | None" = None) -> Iterator[None]:
    """A step of so many parts, each of which ends with `passed`: a row on a terminal, elsewhere nothing.

    For a block, or as a decorator for a whole function.
    """
    console = console or Terminal(stderr=True)
    with row(what, parts, console, parted=True) if seen_on(console) else nullcontext():
        yield


def passed(parts: int = 1) -> None:
    """So many parts of the step that goes on are done, if it is one `in_parts` and seen."""
    screen = SCREEN.get()
    if screen is not None and screen.tasks and screen.tasks[-1].fields["parted"]:
        screen.advance(screen.tasks[-1].id, parts)


@contextmanager
def measured(what: str, total: int, done: Callable[[], int], console: "Terminal | None" = None) -> Iterator[None]:
    """A step that goes on by itself, also in other threads: a row on a terminal, which asks `done` how far it is."""
    console = console or Terminal(stderr=True)
    with row(what, total, console, done=done) if seen_on(console) else nullcontext():
        yield


def starting(modules: int) -> AbstractContextManager[None]:
    """The imports of a command: about so many modules, where nothing was imported for it yet."""
    before = len(sys.modules)
    return measured("starting", modules, lambda: len(sys.modules) - before)


def bar(steps: Iterable[T], total: int, what: str, console: "Terminal") -> Iterator[T]:
    """A bar that disappears when it is full."""
    with row(what, total, console) as (screen, task):
        for step in steps:
            yield step
            screen.advance(task)


@contextmanager
def row(
    what: str, total: int, console: "Terminal", *, parted: bool = False, done: Callable[[], int] | None = None
) -> Iterator[tuple["Screen", TaskID]]:
    """A row on the terminal while the block lasts, below those of the steps around it."""
    around = SCREEN.get()
    if around is None:
        with drawn(console), row(what, total, console, parted=parted, done=done) as made:
            yield made
        return
    with console.alone:
        task = around.add_task(what, total=total, parted=parted, done=done)
    try:
        yield around, task
    finally:
        with console.alone:
            around.remove_task(task)


@contextmanager
def drawn(console: "Terminal") -> Iterator[None]:
    """Rows on a terminal while the block lasts, drawn again and again by a thread of their own."""
    screen, over = Screen(console), Event()

    def draw() -> None:
        while not over.wait(DRAWN):
            with console.alone:
                screen.refresh()

    thread = Thread(target=draw, daemon=True)
    try:  # from here on, as whoever interrupts must have the cursor back
        with console.alone:
            screen.start()
        SCREEN.set(screen)
        thread.start()
        yield
    finally:
        try:
            SCREEN.set(None)
            over.set()
            if thread.is_alive():
                thread.join()
        finally:
            with console.alone:
                screen.stop()


@final
class Terminal(Console):
    """Where rows and lines are written, one at a time.

    rich writes a line in two steps, between which its own thread may draw the rows anew; then a line is lost.
    """

    alone = RLock()  # of all, as there is one terminal

    def __enter__(self) -> Self:
        """Begin to write."""
        self.alone.acquire()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """What was written is on the terminal."""
        try:
            super().__exit__(*error)
        finally:
            self.alone.release()


@final
class Screen(Progress):
    """All rows; those of steps that go on by themselves are asked how far they are whenever they are drawn."""

    def __init__(self, console: Terminal) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left()
        super().__init__(*columns, console=console, transient=True, auto_refresh=False)

    def get_renderable(self) -> RenderableType:
        """The rows as they are now."""
        for task in self.tasks:
            done = task.fields["done"]
            if done is not None:
                self.update(task.id, completed=min(done(), task.total or 0))
        return super().get_renderable()


@final
class Left(ProgressColumn):
    """The time that is left, if what is to be done takes as long as what was done, each part alike."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[TaskID, tuple[float, float]] = {}  # what was done when last asked, and the seconds until then

    def render(self, task: Task) -> Text:
        """Such as 0:00:26; before the first part is done, how long it lasts already."""
        now = task.elapsed or 0.0
        if task.completed != self.known.get(task.id, (0.0, 0.0))[0]:
            self.known[task.id] = task.completed, now
        done, then = self.known.get(task.id, (0.0, 0.0))
        if not done or task.total is None:
            return Text(f"{now:.0f} s", style="progress.elapsed")
        left = round(then * (task.total - done) / done - (now - then))
        return Text(f"{timedelta(seconds=left)} left" if left > 0 else "soon", style="progress.remaining")


def lines(steps: Iterable[T], total: int, what: str) -> Iterator[T]:
    """A line a minute, so that a short step says nothing."""
    said = time.monotonic()
    for done, step in enumerate(steps):
        if time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            fields = {"step": what, "done": done, "total": total}
            log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}", extra=fields)
        yield step
