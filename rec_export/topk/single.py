"""Float32 scores of a block of users and items, as fast as torch gives them: they find candidates, decide nothing."""

from typing import final

import torch
from torch import Tensor

from rec_export.topk.form import Form, Layer

HIDDEN_BYTES = {"cpu": 1 << 20, "cuda": 1 << 27}  # of the first layer at once: it should stay in a cache

GATHERED_BYTES = 1 << 27  # of the vectors of items that are looked up one by one


@final
class SingleScores:
    """The float32 scores of a catalogue's items, for a head of the known form."""

    def __init__(self, form: Form, item_vec: Tensor) -> None:
        """item_vec float32 [N, D], on the device to use."""
        self._hidden, self._dot = form.hidden, form.dot
        self._tail = [Layer(*(part.to(item_vec.device) for part in layer)) for layer in form.tail]
        self._item_vec = item_vec
        if form.tail:
            pairs = HIDDEN_BYTES[item_vec.device.type] // (4 * form.hidden)
            self._items = max(1, min(512, pairs))
            self._users = max(1, pairs // self._items)

    def of(self, user_vec: Tensor, first: int, last: int) -> Tensor:
        """float32 [B, D] -> float32 [B, last - first]: the scores of the items first..last-1."""
        item_vec = self._item_vec[first:last]
        if not self._tail:
            return user_vec @ item_vec.T
        score = self._tail_scores(user_vec[:, : self._hidden], item_vec[:, : self._hidden])
        if self._dot > 0:
            score.addmm_(user_vec[:, self._hidden :], item_vec[:, self._hidden :].T)
        return score

    def of_rows(self, user_vec: Tensor, row: Tensor) -> Tensor:
        """float32 [D], int64 [n] -> float32 [n]: the scores of one user, for a head with a tail."""
        parts = []
        for some in row.split(self._items * self._users):
            item_vec = self._item_vec[some]
            parts.append(self._through_tail(torch.relu_(user_vec[: self._hidden] + item_vec[:, : self._hidden])))
            if self._dot > 0:
                parts[-1] = parts[-1] + item_vec[:, self._hidden :] @ user_vec[self._hidden :]
        return torch.cat([*parts, user_vec[:0]])

    def of_pairs(self, user_vec: Tensor, row: Tensor) -> Tensor:
        """float32 [B, D], int64 [B, n] -> float32 [B, n]: of some items of each user."""
        score = user_vec.new_empty(row.shape)
        step = max(1, GATHERED_BYTES // (4 * max(1, row.shape[1]) * max(1, user_vec.shape[1])))
        for user in range(0, len(row), step):
            own, item_vec = user_vec[user : user + step, :, None], self._item_vec[row[user : user + step]]
            some = score[user : user + step]
            some.copy_((item_vec[:, :, self._hidden :] @ own[:, self._hidden :]).squeeze(2))
            if self._tail:
                hidden = torch.relu_(item_vec[:, :, : self._hidden] + own[:, : self._hidden].mT)
                some += self._through_tail(hidden.flatten(0, 1)).view(some.shape)
        return score

    def _tail_scores(self, user_part: Tensor, item_part: Tensor) -> Tensor:
        score = user_part.new_empty(len(user_part), len(item_part))
        for i in range(0, len(item_part), self._items):
            items = item_part[i : i + self._items].contiguous()
            for u in range(0, len(user_part), self._users):
                hidden = torch.relu_(user_part[u : u + self._users].unsqueeze(1) + items)
                block = score[u : u + self._users, i : i + self._items]
                block.copy_(self._through_tail(hidden.flatten(0, 1)).view(block.shape))
        return score

    def _through_tail(self, hidden: Tensor) -> Tensor:
        """float32 [pairs, H] -> float32 [pairs]."""
        for weight, bias in self._tail[:-1]:
            hidden = torch.addmm(bias, hidden, weight.T).relu_()
        weight, bias = self._tail[-1]
        return torch.addmv(bias.expand(len(hidden)), hidden, weight[0])
