"""The best items of each part of a catalogue, from rankers that are prepared when a part is first asked for."""

from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.allowed import AllowedRanker
from rec_export.topk.contract import Allowed, Bool, Float64, Int64, Seen, TopK
from rec_export.topk.parts import Parts


class Found(NamedTuple):
    """The best items of P parts for B users, each part's best first.

    item_row int64 [B, W], score float64 [B, W]: those of part p are begin[p] .. begin[p] + count[:, p] - 1.
    begin int64 [P + 1]: there was room for begin[p + 1] - begin[p] of them.
    count int64 [B, P].
    """

    item_row: Int64
    score: Float64
    begin: Int64
    count: Int64  # type: ignore[assignment]  # hides tuple.count, as in TopK

    def plus(self, top: TopK) -> "Found":
        """With one part more."""
        return Found(
            np.concatenate([self.item_row, top.item_row], axis=1),
            np.concatenate([self.score, top.score], axis=1),
            np.append(self.begin, self.begin[-1] + top.item_row.shape[1]),
            np.column_stack([self.count, top.count]),
        )


@final
class PartedRanker:
    """Exact, as the ranker of each part is."""

    def __init__(self, parts: Parts, ranker_of: Callable[[Int64], AllowedRanker]) -> None:
        """`ranker_of` prepares the ranker of some items, int64 [n]; what it gives is kept."""
        self.parts, self._ranker_of = parts, ranker_of
        self._rankers: dict[int, AllowedRanker] = {}

    def best(self, user_vec: Tensor, most: Int64, seen: Seen, allowed: Allowed | None, closed: Bool) -> Found:
        """float32 [B, Du] -> the best most[p], int64 [P], of each part but for the parts `closed`, bool [B, P]."""
        users, begin = len(user_vec), np.append(0, np.cumsum(most))
        row, score = np.full((users, begin[-1]), -1), np.full((users, begin[-1]), np.nan)
        found = Found(row, score, begin, np.zeros(closed.shape, np.int64))
        hidden, own = self.parts.split(seen), self.parts.split(Seen.none(users) if allowed is None else allowed.items)
        for part in np.flatnonzero((most > 0) & ~closed.all(axis=0)).tolist():
            user, places = np.flatnonzero(~closed[:, part]), slice(begin[part], begin[part + 1])
            theirs = allowed and allowed._replace(items=own[part]).take(user)
            vec = user_vec[torch.from_numpy(user)]
            top = self._ranker(part).top_k(vec, int(most[part]), hidden[part].take(user), theirs)
            row[user, places] = self.parts.item[part][top.item_row]
            score[user, places], found.count[user, part] = top.score, top.count
        return found

    def _ranker(self, part: int) -> AllowedRanker:
        if part not in self._rankers:
            self._rankers[part] = self._ranker_of(self.parts.item[part])
        return self._rankers[part]
