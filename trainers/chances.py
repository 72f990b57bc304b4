"""By what users chose: the weights of scores, and of other numbers of an item, that make held-out choices likeliest.

A choice is a softmax over items (McFadden 1974, Conditional Logit Analysis of Qualitative Choice Behavior) of a sum of
what is told of each, every number times its weight; the likelihood is concave in the weights. Of the many items of a
user what was chosen, what has numbers of its own and the best by each score are looked at one by one, and a sample
stands for the rest.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from rec_export.data.columns import Int64
from rec_export.metrics import Float64
from rec_export.topk import Seen
from trainers.validation import ListValidation

BEST, SAMPLE = 500, 500  # items of a user: by each score, and for the rest
PRIOR = (
    1e-4  # of the squares: where nothing with numbers of its own is chosen, or nothing else, their weights are finite
)

Score = Callable[[Int64], Tensor]  # users int64 [B] -> float32 [B, N], of all that are ranked


class Own(NamedTuple):
    """Numbers of some items of B users, which may be chosen, told beside the scores; all other items have zeros."""

    items: Seen
    numbers: Float64  # [pairs, G]


def nothing_own(user: Int64) -> Own:
    """No numbers beside the scores, for users int64 [B]."""
    return Own(Seen.none(len(user)), np.zeros((0, 0)))


def log_sum(value: Tensor, owner: Tensor, users: int) -> Tensor:
    """The logarithm of the sum of exponentials of what each user owns, at least one: float64 [P], int64 [P] -> [U]."""
    top = value.new_full([users], -torch.inf).scatter_reduce(0, owner, value.detach(), "amax")
    return top + torch.zeros_like(top).index_add(0, owner, (value - top[owner]).exp()).log()


def competing(score: Tensor, seen: Seen, alone: tuple[Int64, Int64]) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs of B users and items, not seen, that a choice is told from, by scores float32 [S, B, N]: `alone` (users
    and items, int64 [A] each) and the best by each score one by one, and a sample that stands for the rest.

    -> user int64 [P], ascending, item int64 [P], ascending by user; float64 [P], the logarithm of how many items each
    stands for.
    """
    items = score.shape[2]
    free = torch.ones(score.shape[1:], dtype=torch.bool)
    free[seen.user(), seen.item_row] = False
    sure, drawn = torch.zeros_like(free), torch.zeros_like(free)
    for one in score:
        sure.scatter_(1, torch.topk(one.masked_fill(~free, -torch.inf), min(BEST, items)).indices, True)
    sure[alone] = True
    sure &= free
    drawn[:, np.random.default_rng(0).permutation(items)[:SAMPLE]] = True
    rest = free & ~sure
    drawn &= rest
    left = (rest.sum(1) / drawn.sum(1).clamp(min=1)).double().log()
    user, item = torch.nonzero(sure | drawn, as_tuple=True)
    return user, item, torch.where(sure[user, item], 0.0, left[user])


class Chances(NamedTuple):
    """T choices of U users, each of whom made one or more, from P pairs of a user and an item.

    owner int64 [P], ascending: users; told float64 [S + G, P]: S scores and G other numbers; stands float64 [P]: the
    logarithm of how many items a pair stands for; chosen int64 [T]: pairs; spread float32 [S, U] of the scores of the
    items that may be chosen.
    """

    owner: Tensor
    told: Tensor
    stands: Tensor
    chosen: Tensor
    spread: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, lists: ListValidation, scores: Sequence[Score], own: Callable[[Int64], Own] = nothing_own) -> Self:
        """From the lists' users and targets, by S scores of users, and by numbers of some items of users.

        What nobody ever liked is no choice: what tells it from all else best would weigh more than what tells tastes.
        """
        at_once = max(1, lists.at_once // 2)  # as there are several scores of each, and who is looked at
        items, parts, pairs = lists.dataset.catalogue.items.trained, [], 0
        for at in range(0, len(lists.user), at_once):
            user = lists.user[at : at + at_once]
            mine = slice(*np.searchsorted(lists.targets.user, (at, at + len(user))))
            chosen = lists.targets.user[mine] - at, lists.targets.item_row[mine]
            score = torch.stack([one(user)[:, :items] for one in scores])
            some = cls.of_some(score, lists.seen(user), chosen, own(user))
            parts.append(some._replace(owner=some.owner + at, chosen=some.chosen + pairs))
            pairs += len(some.owner)
        columns = list(zip(*parts, strict=True))
        parts.clear()
        return cls(*(torch.cat(columns.pop(0), -1) for _ in cls._fields))  # what is joined goes, as all is long

    @classmethod
    def of_some(cls, score: Tensor, seen: Seen, chosen: tuple[Int64, Int64], own: Own) -> Self:
        """From scores of B users, float32 [S, B, N], what may not be chosen, and users and items int64 [T] each."""
        scores, _, items = score.shape
        theirs = own.items.user(), own.items.item_row
        alone = np.append(chosen[0], theirs[0]), np.append(chosen[1], theirs[1])
        user, item, stands = competing(score, seen, alone)
        pair = user * items + item

        def places(of: tuple[Int64, Int64]) -> Tensor:
            return torch.searchsorted(pair, torch.from_numpy(of[0] * items + of[1]))

        told = torch.zeros(scores + own.numbers.shape[1], len(pair), dtype=torch.float64)
        told[:scores] = score[:, user, item]
        told[scores:, places(theirs)] = torch.from_numpy(own.numbers.T)
        return cls(user, told, stands, places(chosen), score.std(2))

    def loss(self, weights: Tensor) -> Tensor:
        """The mean over users of their choices' mean surprise, by weights [S + G]."""
        user, value = self.owner[self.chosen], weights @ self.told
        count = torch.bincount(user)
        surprise = log_sum(value + self.stands, self.owner, len(count))[user] - value[self.chosen]
        return (surprise / count[user]).sum() / len(count)

    @torch.enable_grad()
    def likeliest(self) -> Float64:
        """The weights [S + G] that make the choices likeliest; the first is above 0, no other of a score below."""
        from scipy.optimize import minimize  # here, as no other training needs it

        scores, numbers = len(self.spread), len(self.told) - len(self.spread)
        spread = self.spread.mean(1).numpy().astype(np.float64)
        unit = np.append(np.where(spread > 0, spread, 1.0), np.ones(numbers))  # so the search begins near its end

        def surprise(at: Float64) -> tuple[float, Float64]:
            weights = torch.tensor(at, requires_grad=True)
            loss = self.loss(weights / torch.from_numpy(unit)) + PRIOR * (weights[scores:] ** 2).sum()
            loss.backward()
            assert weights.grad is not None
            return loss.item(), weights.grad.numpy()

        bounds = [(0.01, 100.0), *[(0.0, 100.0)] * (scores - 1), *[(None, None)] * numbers]
        found: Float64 = minimize(surprise, np.eye(1, len(unit))[0], jac=True, method="L-BFGS-B", bounds=bounds).x
        return found / unit
