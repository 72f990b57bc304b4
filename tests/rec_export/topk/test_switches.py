"""Torch's switches are as they were, however many rank at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
import torch
from torch import Tensor

from rec_export.topk import Ranker, Seen
from rec_export.topk.reference import by_definition
from rec_export.topk.single import SingleScores
from rec_export.topk.switches import backends, one_thread, whole_float32
from rec_export.towers import DotHead
from tests.rec_export.topk.worlds import HEADS, make, same


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


def test_threads_that_come_while_there_is_one_leave_as_many_as_there_were(threads: Callable[[int], None]) -> None:
    threads(2)
    inside, gone = Event(), Event()

    def late() -> None:
        with one_thread():  # which finds one thread, as new threads take over what was set last
            inside.set()
            gone.wait(60)

    with ThreadPoolExecutor(1) as pool:
        with one_thread():
            task = pool.submit(late)
            assert inside.wait(60)
        gone.set()
        task.result(timeout=60)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result(timeout=60) == 2


def test_a_thread_that_has_one_keeps_it(threads: Callable[[int], None]) -> None:
    threads(2)

    def within() -> int:
        with one_thread():
            pass
        return torch.get_num_threads()

    with one_thread(), ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        assert pool.submit(within).result(timeout=60) == 1
    assert torch.get_num_threads() == 2


def test_coarse_matrix_products_are_switched_off_and_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    matmul = torch.backends.cuda.matmul
    noted: set[str] = set()
    of = SingleScores.of

    def with_a_note(self: SingleScores, user_vec: Tensor, first: int, last: int) -> Tensor:
        noted.add(matmul.fp32_precision)
        return of(self, user_vec, first, last)

    monkeypatch.setattr(SingleScores, "of", with_a_note)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    coarse = matmul.fp32_precision
    try:
        Ranker(DotHead(), torch.eye(3)).top_k(torch.eye(3), 2, Seen.none(3))
        assert matmul.fp32_precision == coarse
    finally:
        torch.set_float32_matmul_precision(before)
    assert noted == {"ieee"} != {coarse}


@pytest.mark.parametrize("head", sorted(HEADS))
def test_autocast_changes_no_list(head: str) -> None:
    module, user_vec, item_vec, seen = make(head, "normal", users=20, items=400)
    with torch.autocast("cpu", torch.bfloat16):
        got = Ranker(module, item_vec).top_k(user_vec, 10, seen)
    assert same(got, by_definition(module, user_vec, item_vec, 10, seen))
