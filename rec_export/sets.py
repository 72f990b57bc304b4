"""Sets of whole numbers as sorted arrays. np.unique has a hash table for them, which takes 4 to 100 times as long as
sorting does (numpy 2.4, 2,000 to 4 million numbers), and so do the functions of numpy that call it."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.integer[Any])


def distinct(numbers: npt.NDArray[T]) -> npt.NDArray[T]:
    """The different ones of numbers of any shape, ascending, [D]."""
    ordered = np.sort(numbers, axis=None)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def without(some: npt.NDArray[T], known: npt.NDArray[T]) -> npt.NDArray[T]:
    """The different ones of `some` that are not in `known`, ascending; `known` may be long, as it is not sorted."""
    left = distinct(some)
    place = np.searchsorted(left, known)
    inside = place < len(left)
    place = place[inside]
    return np.delete(left, place[left[place] == known[inside]])


def in_both(some: npt.NDArray[T], others: npt.NDArray[T]) -> npt.NDArray[T]:
    """The different numbers that are in both, ascending."""
    return np.intersect1d(distinct(some), distinct(others), assume_unique=True)


def firsts(key: npt.NDArray[T]) -> npt.NDArray[np.bool_]:
    """Which rows hold a key for the first time, bool [R]."""
    order = np.argsort(key, kind="stable")
    key = key[order]
    new = np.ones(len(key), bool)
    new[order[1:]] = key[1:] != key[:-1]
    return new
