"""At most so many items of one kind in a list: of a brand, a category, an artist.

The list without caps goes by score descending, then item row ascending. With caps an item of that order is taken unless
the list already holds as many items of one of its kinds as are allowed; so whether it is taken depends on those before
it alone. Hence the walk over the best items fetched, exact as they are, takes what a walk over all of them would.

Where it ends before the list is full, the kinds that are full stay full: what is still to come is the best of the items
of no such kind, and those are fetched next. The first of them is taken, so each round brings the end nearer. They come
part by part of the catalogue: the parts of full kinds are left out, and a few items of every other part are enough, as
what it has further down is not missed once its kind is full. Other items of full kinds are hidden like seen ones.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rec_export.topk.best import precedes
from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Bool, Int64, Seen, TopK, portions
from rec_export.topk.parted import Found
from rec_export.topk.parts import Parts

FIRST = 3  # times as many as are missing are fetched: less and more were slower
HIDDEN = 1 << 21  # items that are hidden or found at once


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


# users [n], how many of each part [P], what the users must not get, and of which parts nothing, bool [n, P]
Fetch = Callable[[Int64, Int64, Seen, Bool], Found]


def capped(
    best: Callable[[int], TopK], parts: Parts, fetch: Fetch, k: int, seen: Seen, caps: Caps, first: int
) -> tuple[TopK, Int64]:
    """The best k items of each user that the caps allow; and how many of the best `first` without caps they refuse.

    `best` gives every user the best of all items, so many of them; `fetch` goes by the parts.
    """
    wide = max(1, min(FIRST * k, len(caps.kind)))
    top = best(wide)
    found = Found(top.item_row, top.score, np.array([0, wide]), top.count[:, None])
    lists, refused = TopK.none(len(top.count), k), np.zeros(len(top.count), np.int64)
    left = np.arange(len(top.count))
    left = left[_walk(left, found, np.array([-1]), caps, lists, first, refused)]
    while len(left):
        most, full = _wanted(parts, int((k - lists.count[left]).max()), caps), Seen(*_full(left, lists, caps))
        hidden = np.append(0, np.cumsum(np.diff(parts.outside.start)[full.item_row]))[full.start]
        unfinished = np.zeros(len(left), np.bool_)
        for some in portions(np.diff(hidden) + most.sum(), HIDDEN):
            user, theirs = left[some], full.take(some)
            passed_over = seen.take(user).plus(_held(user, lists)).plus(_outside(parts, theirs))
            found = fetch(user, most, passed_over, _closed(parts, theirs))
            unfinished[some] = _walk(user, found, parts.kind, caps, lists, 0, refused)
        left = left[unfinished]
    return lists, refused


def _wanted(parts: Parts, missing: int, caps: Caps) -> Int64:
    """int64 [P]: how many items of each part to fetch where so many are missing."""
    limit = [missing if kind < 0 else min(missing, caps.limit[kind]) for kind in parts.kind]
    return np.array([min(FIRST * most, len(item)) for most, item in zip(limit, parts.item, strict=True)])


def _held(user: Int64, lists: TopK) -> Seen:
    """What the lists of the users, int64 [n], hold."""
    row = lists.item_row[user]
    return Seen(np.append(0, np.cumsum(lists.count[user])), row[row >= 0])


def _outside(parts: Parts, full: Seen) -> Seen:
    """The items of the kinds that are full for each user, but for those in the parts of these kinds."""
    lists = parts.outside.take(full.item_row)
    return Seen(lists.start[full.start], lists.item_row)


def _closed(parts: Parts, full: Seen) -> Bool:
    """bool [n, P]: the parts of the kinds that are full for each user."""
    closed, part = np.zeros((len(full.start) - 1, len(parts.item)), np.bool_), parts.own[full.item_row]
    closed[full.user()[part >= 0], part[part >= 0]] = True
    return closed


@compiled
def _full(user: Int64, lists: TopK, caps: Caps) -> tuple[Int64, Int64]:
    """The kinds of which the lists of the users, int64 [n], hold as many as they may: start, and kind as item_row."""
    number, n = np.zeros(len(caps.limit), np.int64), 0
    start, full = np.zeros(len(user) + 1, np.int64), np.empty(lists.count[user].sum() * caps.kind.shape[1], np.int64)
    for i in range(len(user)):
        held = lists.item_row[user[i], : lists.count[user[i]]]
        for row in held:
            for kind in caps.kind[row]:
                if kind >= 0:
                    number[kind] += 1
                    if number[kind] == caps.limit[kind]:
                        full[n] = kind
                        n += 1
        for row in held:
            _count(number, caps.kind[row], -1)
        start[i + 1] = n
    return start, full[:n]


@compiled
def _walk(user: Int64, found: Found, part_kind: Int64, caps: Caps, lists: TopK, first: int, refused: Int64) -> Bool:
    """Go on with the lists of the users, int64 [n], over what was found; count what is refused of the `first` best.

    bool [n]: whose list may go on beyond it, as a part of no full kind, int64 [P], may have more.
    """
    k, number, unfinished = lists.item_row.shape[1], np.zeros(len(caps.limit), np.int64), np.zeros(len(user), np.bool_)
    for i in range(len(user)):
        u, held, at = user[i], lists.count[user[i]], found.begin[:-1].copy()
        row, score, end = found.item_row[i], found.score[i], found.begin[:-1] + found.count[i]
        for place in range(held):
            _count(number, caps.kind[lists.item_row[u, place]], 1)
        while held < k:
            best = -1
            for part in range(len(at)):
                if part_kind[part] >= 0 and number[part_kind[part]] >= caps.limit[part_kind[part]]:
                    continue
                if at[part] == end[part]:
                    unfinished[i] |= found.begin[part] < end[part] == found.begin[part + 1]
                elif best < 0 or precedes(score[at[part]], row[at[part]], score[at[best]], row[at[best]]):
                    best = part
            if best < 0 or unfinished[i]:
                break
            place = at[best]
            at[best] += 1
            if _has_room(number, caps.kind[row[place]], caps.limit):
                lists.item_row[u, held], lists.score[u, held] = row[place], score[place]
                held += 1
                _count(number, caps.kind[row[place]], 1)
            elif place < first:
                refused[u] += 1
        for place in range(held):
            _count(number, caps.kind[lists.item_row[u, place]], -1)
        lists.count[u] = held
    return unfinished


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
