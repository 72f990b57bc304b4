"""Make the next one while the last one is used: lists are scored while those before them are written."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def ahead(made: Iterator[T]) -> Iterator[T]:
    """The same in the same order, each made in a thread of its own while the caller is at the one before."""
    context = copy_context()  # so that watchers and logs know the run there too

    def following() -> T | None:
        return next(made, None)

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(context.run, following)
        while (one := coming.result()) is not None:
            coming = thread.submit(context.run, following)
            yield one
