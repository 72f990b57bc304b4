"""What the engine takes and gives: the items a user must not get, and the best K of the others."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


class TopK(NamedTuple):
    """The best items of B users, best first: a user with fewer than K eligible items has a shorter list.

    item_row int64 [B, K]: -1 from `count` on.
    score float64 [B, K]: NaN from `count` on.
    count int64 [B]: how many items the list of each user holds.
    """

    item_row: Int64
    score: Float64
    count: Int64  # type: ignore[assignment]  # hides tuple.count, which nobody asks of three arrays


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

    def take(self, user: Int64) -> "Seen":
        """The same for some of the users, int64 [n]."""
        length = np.diff(self.start)[user]
        start = np.concatenate([[0], np.cumsum(length)])
        return Seen(start, self.item_row[np.repeat(self.start[user] - start[:-1], length) + np.arange(start[-1])])

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
