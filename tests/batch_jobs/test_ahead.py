"""What is made ahead is the same in the same order, and made while its reader is busy."""

import threading
from collections.abc import Iterator

import pytest

from batch_jobs.ahead import ahead


def test_all_come_in_their_order_and_the_next_is_made_while_one_is_used() -> None:
    made = [threading.Event() for _ in range(3)]

    def numbers() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for place, number in enumerate(ahead(numbers())):
        assert number == place
        assert made[min(place + 1, 2)].wait(timeout=10)


def test_an_error_reaches_the_reader_in_its_place() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("the disk is full")

    coming = ahead(numbers())
    assert next(coming) == 1
    with pytest.raises(OSError, match="the disk is full"):
        next(coming)


def test_of_nothing_nothing_is_made() -> None:
    assert list(ahead(iter(()))) == []
