"""How much of one score is to be added to another one, as what users chose among held-out rows makes it likeliest.

A choice is a softmax over all new items (McFadden 1974, Conditional Logit Analysis of Qualitative Choice Behavior), of
the sum of both scores, each times a weight; the likelihood is concave in the weights.
"""

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from rec_export.by_user import ragged
from rec_export.data.columns import Int64
from rec_export.metrics import Float64
from rec_export.topk import Seen
from rec_export.towers import Towers
from trainers.batches import Device
from trainers.validation import ListValidation

USERS = 800  # at most, who are asked
BEST, SAMPLE = 500, 1000  # items of a user: by either score, and for the rest
NUMBERS = 1 << 22  # scores of a model at once


def log_sum(value: Tensor, owner: Tensor, users: int) -> Tensor:
    """The logarithm of the sum of exponentials of what each user owns, at least one: float64 [P], int64 [P] -> [U]."""
    top = value.new_full([users], -torch.inf).scatter_reduce(0, owner, value.detach(), "amax")
    return top + torch.zeros_like(top).index_add(0, owner, (value - top[owner]).exp()).log()


def competing(score: Tensor, seen: Seen, chosen: tuple[Int64, Int64]) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs of B users and new items that a choice is told from, by scores float32 [2, B, N]: what was chosen and
    the best by either score one by one, and a sample that stands for the rest.

    -> user int64 [P], ascending; item int64 [P]; float64 [P], the logarithm of how many items each stands for.
    """
    items = score.shape[2]
    new = torch.ones(score.shape[1:], dtype=torch.bool)
    new[seen.user(), seen.item_row] = False
    sure, drawn = torch.zeros_like(new), torch.zeros_like(new)
    for one in score:
        sure.scatter_(1, torch.topk(one.masked_fill(~new, -torch.inf), min(BEST, items)).indices, True)
    sure[chosen[0], chosen[1]] = True
    sure &= new
    drawn[:, np.random.default_rng(0).permutation(items)[:SAMPLE]] = True
    rest = new & ~sure
    drawn &= rest
    left = (rest.sum(1) / drawn.sum(1).clamp(min=1)).double().log()
    user, item = torch.nonzero(sure | drawn, as_tuple=True)
    return user, item, torch.where(sure[user, item], 0.0, left[user])


class Chances(NamedTuple):
    """What U users might have chosen, P pairs of a user and an item, and T choices, by the scores of the model and of
    the other one.

    owner int64 [P], ascending; both float64 [2, P]; stands float64 [P]: the logarithm of how many items one stands for.
    chosen int64 [T]: users; theirs float64 [2, T].
    """

    owner: Tensor
    both: Tensor
    stands: Tensor
    chosen: Tensor
    theirs: Tensor
    spread: Float64  # [2] of the scores of all items of a user, the mean over users

    @classmethod
    @torch.no_grad()
    def of(cls, lists: ListValidation, model: Towers, other: Towers, state: Device) -> Self:
        """From some of the lists' users and their targets."""
        scorers = [lists.scores(towers, state) for towers in (model, other)]
        items, targets = lists.dataset.catalogue.items.trained, lists.targets
        place = np.sort(np.random.default_rng(0).permutation(len(lists.user))[:USERS])
        chosen = ragged(*(np.searchsorted(targets.user, place + more) for more in (0, 1)))
        at_once = max(1, min(lists.at_once, NUMBERS // items))
        parts, spread = [], []
        for at in range(0, len(place), at_once):
            user = lists.user[place[at : at + at_once]]
            mine = (chosen.owner >= at) & (chosen.owner < at + len(user))
            owner, row = chosen.owner[mine] - at, targets.item_row[chosen.place[mine]]
            score = torch.stack([scorer(user) for scorer in scorers])
            spread.append(score.std(2).numpy())
            pair_user, pair_item, stands = competing(score, lists.seen(user), (owner, row))
            both, theirs = score[:, pair_user, pair_item].double(), score[:, owner, row].double()
            parts.append((pair_user + at, both, stands, torch.from_numpy(owner + at), theirs))
        owners, both, stands, users, theirs = (torch.cat(column, -1) for column in zip(*parts, strict=True))
        return cls(owners, both, stands, users, theirs, np.concatenate(spread, axis=1).mean(1))

    def loss(self, weights: Tensor) -> Tensor:
        """The mean over users of their choices' mean surprise, where a score is the sum by weights [2]."""
        count = torch.bincount(self.chosen)
        whole = log_sum(weights @ self.both + self.stands, self.owner, len(count))
        surprise = whole[self.chosen] - weights @ self.theirs
        return (surprise / count[self.chosen]).sum() / len(count)

    def likeliest(self) -> float:
        """How much of the other one is added to the model: what makes the choices likeliest, but nothing below 0."""
        from scipy.optimize import minimize  # here, as no other training needs it

        unit = torch.from_numpy(np.where(self.spread > 0, self.spread, 1.0))  # so the search begins near its end

        def surprise(at: Float64) -> tuple[float, Float64]:
            weights = torch.tensor(at, requires_grad=True)
            loss = self.loss(weights / unit)
            loss.backward()
            assert weights.grad is not None
            return loss.item(), weights.grad.numpy()

        found = minimize(surprise, np.array([1.0, 0.1]), jac=True, method="L-BFGS-B", bounds=[(0.01, 100), (0, 100)]).x
        return float(found[1] / found[0] * unit[0] / unit[1])
