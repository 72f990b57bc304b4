"""Torch's switches are as they were, however many rank at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from rec_export.topk.switches import backends, whole_float32


def test_threads_that_rank_at_once_put_back_what_was_before_all_of_them() -> None:
    before = [backend.fp32_precision for backend in backends()]
    reduced = torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    met = Barrier(3)

    def inside(turn: int) -> list[str]:
        met.wait()
        with whole_float32():
            if turn < 2:
                met.wait()  # both are inside
                met.wait()  # the third has come and gone, or waits
            return [backend.fp32_precision for backend in backends()]

    def third() -> list[str]:
        met.wait()
        met.wait()
        with whole_float32():
            found = [backend.fp32_precision for backend in backends()]
        met.wait()
        return found

    with ThreadPoolExecutor(3) as pool:
        tasks = [pool.submit(inside, 0), pool.submit(inside, 1), pool.submit(third)]
        assert {tuple(task.result(timeout=60)) for task in tasks} == {("ieee", "ieee")}
    assert [backend.fp32_precision for backend in backends()] == before
    assert torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction == reduced
