"""Torch's process-wide switches that would change a score, set for the length of a block and put back after it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Task = TypeVar("Task")


@contextmanager
def whole_float32() -> Iterator[None]:
    """Matrix products read all 24 bits of a float32, and sum those of bfloat16 in float32, whatever was set before."""
    # torch puts an object in the place of the module backends.mkldnn, unseen by mypy.
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    cuda, before = torch.backends.cuda.matmul, [backend.fp32_precision for backend in backends]
    reduced = cuda.allow_bf16_reduced_precision_reduction
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        cuda.allow_bf16_reduced_precision_reduction = False
        yield
    finally:
        cuda.allow_bf16_reduced_precision_reduction = reduced
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch's own operations run on one thread, so that no sum is cut in as many parts as there are cores."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)


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
