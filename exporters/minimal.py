"""The smallest call that still shows a fault: fewer rows and places, then fewer values, the rest saying nothing.

After Zeller and Hildebrandt 2002, Simplifying and Isolating Failure-Inducing Input (IEEE TSE 28(2)): their ddmin, along
each axis and then over the values of each input.
"""

from collections.abc import Callable, Sequence

import numpy as np

from exporters.cases import Array, Arrays, nothing
from rec_export.towers import Input

Shows = Callable[[Arrays], bool]
MOST_CALLS = 3000  # after which what was found so far is small enough


class SpentError(Exception):
    """No call is left."""


def minimal(inputs: Arrays, ports: Sequence[Input], shows: Shows, calls: int = MOST_CALLS) -> Arrays:
    """The inputs cut down as far as they still show the fault, with at most so many questions to `shows`."""
    best = inputs

    def better(tried: Arrays) -> bool:
        nonlocal best, calls
        if calls == 0:
            raise SpentError
        calls -= 1
        if shows(tried):
            best = tried
            return True
        return False

    there = [port for port in ports if port.name in inputs]
    try:
        for axis in dict.fromkeys(letter for port in there for letter in port.shape if isinstance(letter, str)):
            shorten(best, axis, there, better)
        for port in there:
            empty(best, port, better)
    except SpentError:
        pass
    return best


def shorten(inputs: Arrays, axis: str, ports: Sequence[Input], better: Shows) -> None:
    """Keep few places of an axis, in every input that has it; one at least."""
    along = {port.name: port.shape.index(axis) for port in ports if axis in port.shape}

    def kept(places: list[int]) -> Arrays:
        return inputs | {name: np.take(inputs[name], places, place) for name, place in along.items()}

    name, place = next(iter(along.items()))
    ddmin(list(range(inputs[name].shape[place])), lambda places: better(kept(places)))


def empty(inputs: Arrays, port: Input, better: Shows) -> None:
    """Let few values of an input stay as they are."""
    value, blank = inputs[port.name], blank_of(port, inputs[port.name])
    told = np.flatnonzero((value != blank) & ~((value != value) & (blank != blank)))  # NaN is NaN here

    def kept(places: list[int]) -> Arrays:
        array = blank.copy()
        array.flat[places] = value.flat[places]
        return inputs | {port.name: array}

    if len(told) and not better(kept([])):
        ddmin(told.tolist(), lambda places: better(kept(places)))


def blank_of(port: Input, like: Array) -> Array:
    """An input that says nothing; a number without an axis stays as it is, for there is no k that asks for nothing."""
    return np.full_like(like, nothing(port)) if port.shape else like


def ddmin(whole: list[int], shows: Callable[[list[int]], bool]) -> list[int]:
    """A part of `whole`, which shows the fault, that shows it too, and does not without any one of its members."""
    chunks = 2
    while len(whole) > 1:
        size = -(-len(whole) // chunks)
        parts = [whole[start : start + size] for start in range(0, len(whole), size)]
        rests = [[place for place in whole if place not in set(part)] for part in parts] if chunks > 2 else []
        smaller = next((part for part in parts if shows(part)), None)
        rest = next((rest for rest in rests if shows(rest)), None) if smaller is None else None
        if smaller is not None:
            whole, chunks = smaller, 2
        elif rest is not None:
            whole, chunks = rest, max(chunks - 1, 2)
        elif size == 1:
            break
        else:
            chunks = min(2 * chunks, len(whole))
    return whole
