"""Torch's process-wide switches that would change a score, set for the length of a block and put back after it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Any, TypeVar, final

import torch

from rec_export.machine import without_autocast

Task = TypeVar("Task")


@final
class Precision:
    """The switches of matrix products, of which a process has one set: who comes first sets them, who goes last puts
    them back, so that threads which rank at once do not put back each other's.
    """

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.before: tuple[list[str], bool] = [], False

    def enter(self) -> None:
        """Read all 24 bits of a float32, and sum products of bfloat16 in float32."""
        with self.lock:
            if self.inside == 0:
                cuda = torch.backends.cuda.matmul
                self.before = [one.fp32_precision for one in backends()], cuda.allow_bf16_reduced_precision_reduction
                self.set(["ieee"] * len(self.before[0]), reduced=False)
            self.inside += 1

    def leave(self) -> None:
        """As it was before, if nobody else is inside."""
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.set(*self.before)

    def set(self, precisions: list[str], reduced: bool) -> None:
        """Of each backend, and whether sums of bfloat16 may be."""
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = reduced
        for backend, precision in zip(backends(), precisions, strict=True):
            backend.fp32_precision = precision


def backends() -> tuple[Any, Any]:
    """Those that multiply matrices."""
    # torch puts an object in the place of the module backends.mkldnn, unseen by mypy.
    return torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


PRECISION = Precision()


@contextmanager
def whole_float32() -> Iterator[None]:
    """Matrix products read all 24 bits of a float32, and sum those of bfloat16 in float32, whatever was set before; no
    autocast.
    """
    PRECISION.enter()
    try:
        with without_autocast():
            yield
    finally:
        PRECISION.leave()


@final
class Threads:
    """How many threads torch's own operations have. Each thread has a number of its own, and a new one that which was
    set last; so who goes last leaves to new ones what was before, which may not be its own.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.usual = Lock(), 0, 1

    def enter(self) -> int:
        """One from here on; how many there were."""
        with self.lock:
            before = torch.get_num_threads()
            self.usual = before if self.inside == 0 else max(self.usual, before)
            self.inside += 1
            torch.set_num_threads(1)
        return before

    def leave(self, before: int) -> None:
        """So many again."""
        with self.lock:
            self.inside -= 1
            torch.set_num_threads(before)
            if self.inside == 0 and self.usual != before:
                setting = Thread(target=torch.set_num_threads, args=(self.usual,))  # which is not for this thread
                setting.start()
                setting.join()


THREADS = Threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch's own operations run on one thread, so that no sum is cut in as many parts as there are cores."""
    before = THREADS.enter()
    try:
        yield
    finally:
        THREADS.leave(before)


def side_by_side(work: Callable[[Task], None], tasks: Iterable[Task], threads: int) -> None:
    """Every task in one of so many threads, torch's own operations staying within it: no thread waits for another."""
    if threads == 1:
        with one_thread():
            for task in tasks:
                work(task)
        return
    with one_thread(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(work, tasks):
            pass
