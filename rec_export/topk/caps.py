"""At most so many items of one kind in a list: of a brand, a category, an artist.

The list without caps goes by score descending, then item row ascending. With caps an item of that order is taken unless
the list already holds as many items of one of its kinds as are allowed; so whether it is taken depends on those before
it alone. Hence the walk over the best items fetched, exact as they are, takes what a walk over all of them would.

Where it ends before the list is full, the kinds that are full stay full: what is still to come is the best of the items
of no such kind, and those are fetched next. The first of them is taken, so each round brings the end nearer.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Int64, Seen, TopK, portions

Fetch = Callable[[Int64, int, Seen], TopK]  # users [n], k, what they must not get -> the exact best k of each
FIRST = 3  # times as many as are missing are fetched: less and more were slower
HIDDEN = 1 << 22  # items of full kinds that are named to the engine at once


class Caps(NamedTuple):
    """Of N items that have kinds in C ways, with G kinds in all.

    kind int64 [N, C]: of each item, such as its brand and its category; -1 where it has none, which is not capped.
    limit int64 [G]: how many items of each kind a list may hold, 1 or more.
    """

    kind: Int64
    limit: Int64

    def take(self, item: Int64) -> "Caps":
        """The same for some of the items, int64 [n]."""
        return Caps(self.kind[item], self.limit)


def capped(fetch: Fetch, users: int, k: int, seen: Seen, caps: Caps, first: int) -> tuple[TopK, Int64]:
    """The best k items of each user that the caps allow; and how many of the best `first` without caps they refuse."""
    lists, refused = TopK.none(users, k), np.zeros(users, np.int64)
    items, user = len(caps.kind), np.arange(users)
    wide = max(1, min(FIRST * k, items))
    found = fetch(user, wide, seen)
    _walk(user, found, caps, lists, first, refused)
    left = np.flatnonzero((lists.count < k) & (found.count == wide))
    for portion in portions(np.full(len(left), items), HIDDEN):
        user = left[portion]
        while len(user):
            wide = min(FIRST * int((k - lists.count[user]).max()), items)
            found = fetch(user, wide, Seen(*_passed_over(user, seen, lists, caps)))
            _walk(user, found, caps, lists, 0, refused)
            user = user[(lists.count[user] < k) & (found.count == wide)]
    return lists, refused


@compiled
def _passed_over(user: Int64, seen: Seen, lists: TopK, caps: Caps) -> tuple[Int64, Int64]:
    """What the users must not get, what their lists hold, and what these leave no room for: start and item_row."""
    items, number = len(caps.kind), np.zeros(len(caps.limit), np.int64)
    start, item_row = np.zeros(len(user) + 1, np.int64), np.empty(len(user) * items, np.int64)
    for i in range(len(user)):
        held = lists.item_row[user[i], : lists.count[user[i]]]
        hidden = np.zeros(items, np.bool_)
        hidden[seen.item_row[seen.start[user[i]] : seen.start[user[i] + 1]]] = True
        hidden[held] = True
        for row in held:
            _count(number, caps.kind[row], 1)
        n = start[i]
        for row in range(items):
            item_row[n] = row
            n += hidden[row] or not _has_room(number, caps.kind[row], caps.limit)
        start[i + 1] = n
        for row in held:
            _count(number, caps.kind[row], -1)
    return start, item_row[: start[-1]]


@compiled
def _walk(user: Int64, found: TopK, caps: Caps, lists: TopK, first: int, refused: Int64) -> None:
    """Go on with the lists of the users, int64 [n], over what was found; count what is refused of the `first` best."""
    k, number = lists.item_row.shape[1], np.zeros(len(caps.limit), np.int64)
    for i in range(len(user)):
        u, held = user[i], lists.count[user[i]]
        for place in range(held):
            _count(number, caps.kind[lists.item_row[u, place]], 1)
        for place in range(found.count[i]):
            if held == k:
                break
            row = found.item_row[i, place]
            if _has_room(number, caps.kind[row], caps.limit):
                lists.item_row[u, held], lists.score[u, held] = row, found.score[i, place]
                held += 1
                _count(number, caps.kind[row], 1)
            elif place < first:
                refused[u] += 1
        for place in range(held):
            _count(number, caps.kind[lists.item_row[u, place]], -1)
        lists.count[u] = held


@compiled
def _has_room(number: Int64, kind: Int64, limit: Int64) -> bool:
    full = False
    for one in kind:
        full |= one >= 0 and number[one] >= limit[one]
    return not full


@compiled
def _count(number: Int64, kind: Int64, step: int) -> None:
    for one in kind:
        if one >= 0:
            number[one] += step
