"""What the engine takes and gives: the items a user must not get, and the best K of the others."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


class TopK(NamedTuple):
    """The best items of B users, best first: a user with fewer than K eligible items has a shorter list.

    item_row int64 [B, K]: -1 from `count` on.
    score float64 [B, K]: NaN from `count` on.
    count int64 [B]: how many items the list of each user holds.
    """

    item_row: Int64
    score: Float64
    count: Int64  # type: ignore[assignment]  # hides tuple.count, which nobody asks of three arrays

    @classmethod
    def none(cls, users: int, k: int) -> "TopK":
        """Empty lists of `users` users."""
        return cls(np.full((users, k), -1, np.int64), np.full((users, k), np.nan), np.zeros(users, np.int64))

    def put(self, user: Int64, lists: "TopK") -> None:
        """Let some users, int64 [n], have these lists, which may be shorter; the places after them stay as they are."""
        width = lists.item_row.shape[1]
        self.item_row[user, :width], self.score[user, :width] = lists.item_row, lists.score
        self.count[user] = lists.count


class Seen(NamedTuple):
    """The items each of B users must not get, in any order; naming an item twice is harmless.

    start int64 [B + 1]: the items of user b are item_row[start[b] : start[b + 1]].
    item_row int64 [nnz].
    """

    start: Int64
    item_row: Int64

    @classmethod
    def none(cls, users: int) -> "Seen":
        """Nothing is kept from any of `users` users."""
        return cls(np.zeros(users + 1, np.int64), np.zeros(0, np.int64))

    @classmethod
    def of(cls, user: Int64, item_row: Int64, users: int) -> "Seen":
        """From pairs in any order, int64 [nnz] twice."""
        order = np.argsort(user, kind="stable")
        return cls(np.searchsorted(user[order], np.arange(users + 1)), item_row[order])

    def plus(self, other: "Seen") -> "Seen":
        """What is in either of two, for the same users."""
        row = np.empty(len(self.item_row) + len(other.item_row), np.int64)
        row[np.arange(len(self.item_row)) + np.repeat(other.start[:-1], np.diff(self.start))] = self.item_row
        row[np.arange(len(other.item_row)) + np.repeat(self.start[1:], np.diff(other.start))] = other.item_row
        return Seen(self.start + other.start, row)

    def take(self, user: Int64) -> "Seen":
        """The same for some of the users, int64 [n]."""
        start, place = self.places(user)
        return Seen(start, self.item_row[place])

    def places(self, user: Int64) -> tuple[Int64, Int64]:
        """Of some of the users, int64 [n]: the start of each one's items, int64 [n + 1], and where these stand here."""
        length = np.diff(self.start)[user]
        start = np.concatenate([[0], np.cumsum(length)])
        return start, np.repeat(self.start[user] - start[:-1], length) + np.arange(start[-1])

    def where(self, some: Bool) -> "Seen":
        """Some of the pairs, bool [nnz]."""
        return Seen(np.concatenate([[0], np.cumsum(some)])[self.start], self.item_row[some])

    def user(self) -> Int64:
        """int64 [nnz]: whom each entry of item_row belongs to."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int64), np.diff(self.start))

    def check(self, users: int, items: int) -> None:
        """Refuse what is not such a list for `users` users of a catalogue of `items` items."""
        if len(self.start) != users + 1 or self.start[0] != 0 or self.start[-1] != len(self.item_row):
            raise ValueError(
                f"start has {len(self.start)} numbers for {users} users and {len(self.item_row)} items seen"
            )
        if np.any(np.diff(self.start) < 0):
            raise ValueError("start falls from one user to the next")
        if np.any((self.item_row < 0) | (self.item_row >= items)):
            raise ValueError(f"an item seen lies outside the catalogue of {items} items")


class Allowed(NamedTuple):
    """Those of B users who may get nothing but items on a list of their own, and the lists.

    restricted bool [B]: the others may get anything, and their list in `items` is empty.
    items: as in Seen, but what a user may get.
    """

    restricted: Bool
    items: Seen

    @classmethod
    def everything(cls, users: int) -> "Allowed":
        """None of `users` users has such a list."""
        return cls(np.zeros(users, np.bool_), Seen.none(users))

    def take(self, user: Int64) -> "Allowed":
        """The same for some of the users, int64 [n]."""
        return Allowed(self.restricted[user], self.items.take(user))


class Added(NamedTuple):
    """What is added to the scores of some items of each of B users.

    items: as in Seen, but the items that it is added to, each once.
    term float32 [nnz]: finite.
    """

    items: Seen
    term: Float32

    def take(self, user: Int64) -> "Added":
        """The same for some of the users, int64 [n]."""
        start, place = self.items.places(user)
        return Added(Seen(start, self.items.item_row[place]), self.term[place])

    def where(self, some: Bool) -> "Added":
        """Those of the pairs, bool [nnz]."""
        return Added(self.items.where(some), self.term[some])


class Listed(NamedTuple):
    """Lists under rules, and what the rules changed in them.

    capped int64 [B]: items of the list without caps that the caps keep out of it.
    varied int64 [B]: items of the list by score that the re-rank for diversity leaves out.
    """

    top: TopK
    capped: Int64
    varied: Int64


def portions(size: Int64, most: int) -> Iterator[Int64]:
    """The users 0..B-1 in portions whose sizes, int64 [B], add up to no more than `most` and the largest of them."""
    part = np.cumsum(size) // most
    yield from (user for user in np.split(np.arange(len(size)), np.flatnonzero(np.diff(part)) + 1) if len(user))
