"""Rows of users end to end: where each user's begin, and what is found by going along them."""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rec_export.data.columns import Bool, Int32, Int64
from rec_export.topk.compiled import compiled

T = TypeVar("T", bound=np.generic)


class Ragged(NamedTuple):
    """Ranges of different lengths, end to end."""

    place: Int64  # [sum of lengths] the positions in all ranges
    owner: Int64  # [sum of lengths] which range each belongs to
    start: Int64  # [ranges + 1] where each range begins


def ragged(first: Int64, stop: Int64) -> Ragged:
    """All positions first..stop-1 of each range."""
    size = stop - first
    start = np.concatenate([[0], np.cumsum(size)])
    owner = np.repeat(np.arange(len(size)), size)
    return Ragged(np.arange(start[-1]) - start[owner] + first[owner], owner, start)


def starts(user: Int32, users: int) -> Int64:
    """Where the rows of each user begin when they are sorted by user, int64 [U + 1]."""
    return np.concatenate([[0], np.cumsum(np.bincount(user, minlength=users))])


def rows_by_user(user: Int32, start: Int64) -> Int32 | Int64:
    """The rows by user, those of each in their order, [R]; start int64 [U + 1], where each begins."""
    if len(user) < 1 << 31:
        return by_user_of(user, np.arange(len(user), dtype=np.int32), start)
    return by_user_of(user, np.arange(len(user)), start)


def by_user_of(user: Int32, value: npt.NDArray[T], start: Int64) -> npt.NDArray[T]:
    """The values of R rows by user, those of each in the order of the rows; start int64 [U + 1], where each begins."""
    ordered = np.empty_like(value)
    put_by_user(user, value, start[:-1].copy(), ordered)
    return ordered


@compiled
def put_by_user(user: Int32, value: npt.NDArray[T], at: Int64, ordered: npt.NDArray[T]) -> None:
    """Fill in `ordered`; at int64 [U], where each user's begin, is to write on."""
    for row in range(len(user)):
        place = at[user[row]]
        ordered[place] = value[row]
        at[user[row]] = place + 1


@compiled
def first_likings(start: Int64, item: Int32, user: Int32) -> Bool:
    """Which of R rows hold an item of their user for the first time, bool [R].

    start int64 [U + 1], where each user's begin; item int32 [R] by user. user int32 [N], UNKNOWN at first, is to write
    on: who held each item last.
    """
    new = np.zeros(len(item), np.bool_)
    for who in range(len(start) - 1):
        for place in range(start[who], start[who + 1]):
            new[place] = user[item[place]] != who
            user[item[place]] = who
    return new


@compiled
def tallied(start: Int64, item: Int32, items: int) -> tuple[Int64, Int64, Int64, Int64]:
    """The different items of users: where each one's begin, int64 [B + 1], and int64 [pairs] each: items, counts, rows.

    start int64 [B + 1], where each user's rows begin; item int32 [R] of `items`. The rows are where each was last.
    """
    count, place = np.zeros(items, np.int64), np.empty(items, np.int64)
    found, times, last = np.empty(len(item), np.int64), np.empty(len(item), np.int64), np.empty(len(item), np.int64)
    begin, n = np.zeros(len(start), np.int64), 0
    for user in range(len(start) - 1):
        for row in range(start[user], start[user + 1]):
            one = item[row]
            if count[one] == 0:
                place[one], found[n] = n, one
                n += 1
            count[one] += 1
            times[place[one]], last[place[one]] = count[one], row
        for at in range(begin[user], n):
            count[found[at]] = 0
        begin[user + 1] = n
    return begin, found[:n], times[:n], last[:n]
