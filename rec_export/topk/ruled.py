"""The best K items of users under business rules: a Ranker that also knows lists of one's own, caps and diversity."""

from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.added import AddedItems
from rec_export.topk.allowed import AllowedRanker
from rec_export.topk.approximate import ApproximateRanker, pays
from rec_export.topk.caps import Caps, capped
from rec_export.topk.contract import Added, Allowed, Bool, Float32, Int64, Listed, Seen, TopK
from rec_export.topk.form import form_of
from rec_export.topk.mmr import Diversity, Reranker
from rec_export.topk.parted import Found, PartedRanker
from rec_export.topk.parts import one_part, parts_by
from rec_export.topk.penalty import penalised, with_one, with_penalty
from rec_export.topk.ranker import CPU, Ranker
from rec_export.towers import Head


@final
class RuledRanker:
    """Exact, but for diversity: docs/topk.md says what a list is under each rule, and why it is that."""

    def __init__(
        self, head: Head, item_vec: Tensor, device: torch.device = CPU, *, penalty: Float32 | None = None,
        caps: Caps | None = None, diversity: Diversity | None = None, alike: Tensor | None = None,
        pilot_vec: Tensor | None = None,
    ) -> None:  # fmt: skip
        """item_vec float32 [N, Di]; penalty float32 [N]; `caps` of N items.

        `alike` float32 [N, D] are the vectors whose cosines diversity looks at; None: item_vec.
        `pilot_vec` float32 [n, Du], some users: with it the search is approximate, where that is faster.
        """
        self._items, self._caps, self._diversity = len(item_vec), caps, diversity
        if diversity is not None:
            vec = (item_vec if alike is None else alike).detach().cpu().contiguous().numpy()
            self._reranker = Reranker(vec, diversity.relevance)
        self._penalised = penalty is not None
        self._approximate = pilot_vec is not None and len(pilot_vec) > 0 and pays(head, item_vec)
        if penalty is not None:
            head, item_vec = penalised(head), with_penalty(item_vec, torch.from_numpy(penalty))
        self._head, self._item_vec, self._device = head, item_vec, device
        if self._approximate and pilot_vec is not None:
            pilot_vec = with_one(pilot_vec) if self._penalised else pilot_vec
            ranker: Ranker | ApproximateRanker = ApproximateRanker(head, item_vec, pilot_vec, device)
        else:
            ranker = Ranker(head, item_vec, device)
        self._whole = AllowedRanker(ranker, head, item_vec)

    def top_k(
        self, user_vec: Tensor, k: int, seen: Seen, allowed: Allowed | None = None, added: Added | None = None
    ) -> Listed:
        """float32 [B, Du] -> the lists of the users, of k items at most."""
        users = len(user_vec)
        vec = with_one(user_vec) if self._penalised else user_vec
        longer = k if self._diversity is None else max(k, min(k * self._diversity.fetch, self._items))

        def best(k: int) -> TopK:
            if added is None:
                return self._whole.top_k(vec, k, seen, allowed)
            others = self._whole.top_k(vec, k, seen.plus(added.items), allowed)
            return self._added.among(others, vec, added, seen, allowed)

        def fetch(user: Int64, most: Int64, seen: Seen, closed: Bool) -> Found:
            theirs = None if allowed is None else allowed.take(user)
            some = vec[torch.from_numpy(user)]
            if added is None:
                return self._parted.best(some, most, seen, theirs, closed)
            mine = added.take(user)
            found = self._parted.best(some, most[:-1], seen.plus(mine.items), theirs, closed[:, :-1])
            mine = mine.where(~closed[mine.items.user(), self._parted.parts.part[mine.items.item_row]])
            return found.plus(self._added.best(some, int(most[-1]), mine, seen, theirs))

        if self._caps is None:
            top, refused = best(longer), np.zeros(users, np.int64)
        else:
            parts = self._parted.parts if added is None else self._parted.parts.with_any()
            top, refused = capped(best, parts, fetch, longer, seen, self._caps, k)
        if self._diversity is None:
            return Listed(top, refused, np.zeros(users, np.int64))
        top, left_out = self._reranker.choose(top, k)
        return Listed(top, refused, left_out)

    @cached_property
    def _added(self) -> AddedItems:
        return AddedItems(self._head, self._item_vec)

    @cached_property
    def _parted(self) -> PartedRanker:
        """In parts where neither an item's score nor whether it is found depends on the other items."""
        assert self._caps is not None
        kind, kinds = self._caps.kind, len(self._caps.limit)
        if self._approximate or form_of(self._head, self._item_vec.shape[1]) is None:
            return PartedRanker(one_part(kind, kinds), lambda _: self._whole)

        def ranker_of(item: Int64) -> AllowedRanker:
            vec = self._item_vec[torch.from_numpy(item)]
            return AllowedRanker(Ranker(self._head, vec, self._device), self._head, vec)

        return PartedRanker(parts_by(kind, kinds), ranker_of)
