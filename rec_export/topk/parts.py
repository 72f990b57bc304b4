"""A catalogue in parts: each kind that many items have is one, and what is left is another."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rec_export.topk.contract import Int64, Seen

MOST = 64  # parts by the kinds of one column
LEAST = 512


class Parts(NamedTuple):
    """N items in P parts, where items may be of G kinds.

    item: the item rows of each part, rising, P times int64 [n].
    part, place int64 [N]: where each item is.
    kind int64 [P]: what all items of a part are of; -1 for the part of all others.
    own int64 [G + 1]: the part of each kind, -1 for a kind without one, and for none.
    outside: of each kind, its items that are not in its part, as the items of a user are in Seen.
    """

    item: list[Int64]
    part: Int64
    place: Int64
    kind: Int64
    own: Int64
    outside: Seen

    def with_any(self) -> "Parts":
        """With one part more, of items that are in other parts as well."""
        return self._replace(item=[*self.item, np.arange(len(self.part))], kind=np.append(self.kind, -1))

    def split(self, lists: Seen) -> list[Seen]:
        """Item rows of B users -> those in each part, as places in it."""
        part = self.part[lists.item_row]
        order = np.argsort(part, kind="stable")
        user, place, everyone = lists.user()[order], self.place[lists.item_row[order]], np.arange(len(lists.start))
        ends = np.searchsorted(part[order], np.arange(len(self.item) + 1))
        return [Seen(np.searchsorted(user[a:b], everyone), place[a:b]) for a, b in pairwise(ends)]


def parts_by(kind: Int64, kinds: int) -> Parts:
    """int64 [N, C], -1 where an item has none, G kinds -> parts by the kinds that many have, an item in its first."""
    size = np.bincount(kind[kind >= 0], minlength=kinds)
    return _parts(kind, np.flatnonzero(size >= max(LEAST, len(kind) / MOST)), kinds)


def one_part(kind: Int64, kinds: int) -> Parts:
    """The same, but all in one."""
    return _parts(kind, np.zeros(0, np.int64), kinds)


def _parts(kind: Int64, large: Int64, kinds: int) -> Parts:
    items, own, part = len(kind), np.full(kinds + 1, -1), np.full(len(kind), len(large))
    own[large] = np.arange(len(large))
    for column in reversed(kind.T):
        part = np.where(own[column] >= 0, own[column], part)
    item = np.split(np.argsort(part, kind="stable"), np.cumsum(np.bincount(part, minlength=len(large) + 1))[:-1])
    place = np.empty(items, np.int64)
    for rows in item:
        place[rows] = np.arange(len(rows))
    row, column = np.nonzero((kind >= 0) & (own[kind] != part[:, None]))
    return Parts(item, part, place, np.append(large, -1), own, Seen.of(kind[row, column], row, kinds))
