"""Retrieve and rerank, for heads with hidden layers: some of the best K may be missing, but every score is exact.

The scores of a few pilot users with all items have a low rank, nearly. Its factors, one vector for each item, are the
basis; a user's place in it follows from the definition's scores of some anchors, items drawn once, by least squares. So
a dot product foretells all scores of a user; the exact engine for dot products fetches the items for which it is
largest, and the definition scores these and ranks them. Nothing says what was missed: that is measured, on lists that
were made, against the exact ones.

Which items are fetched depends on the user's vector, the catalogue and the pilots alone, on one machine; not on the
batch or on threads.
"""

from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk import vnni
from rec_export.topk.best import Best
from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Float32, Float64, Int64, Seen, TopK
from rec_export.topk.finite import check_vectors, check_weights
from rec_export.topk.form import Form, form_of
from rec_export.topk.judge import Judge
from rec_export.topk.ranker import CPU, Ranker
from rec_export.topk.single import SingleScores
from rec_export.topk.switches import one_thread, side_by_side, whole_float32
from rec_export.towers import DotHead, Head

PILOTS = 128  # users
RANK = 64
ANCHORS = 256
SAMPLED = 1 << 15  # items that tell which components there are
FETCHED, PER_PLACE = 384, 5  # items for each user, and more for each of the K
TOGETHER = 128  # users
BY_INTEGERS, BY_FLOATS, BY_DEFINITION = 8e-12, 5e-11, 1.7e-10  # seconds, for each product of an item
RETRIEVED, HELD = 5e-10, 1e-7  # seconds, for each item of the catalogue, and for each that is fetched
PIECE = 1 << 14  # items whose scores the pilots have at once


class Basis(NamedTuple):
    """What foretells scores.

    factor float32 [N, R]: of the items.
    anchor int64 [A]: item rows, rising.
    solve float64 [A, R]: a user's scores of the anchors, times this, is the user's vector.
    """

    factor: Float32
    anchor: Int64
    solve: Float64


def basis_of(form: Form, item_vec: Tensor, pilot_vec: Tensor) -> Basis:
    """float32 [N, D], float32 [n, D] -> the basis that these users span.

    The principal components of their scores, of a mean square of 1 each. A user's place is the mean of what is likely
    after the anchors' scores, where the pilots tell how far users lie apart in each component, and how much is left.
    """
    items, drawn = len(item_vec), np.random.default_rng(0).permutation(len(item_vec))
    some, anchor = torch.from_numpy(np.sort(drawn[:SAMPLED])), np.sort(drawn[:ANCHORS])
    pilot_vec = pilot_vec.to(item_vec.device)
    with one_thread(), whole_float32():
        sample = SingleScores(form, item_vec[some]).of(pilot_vec, 0, len(some)).cpu().double()
        mean = sample.mean(1, keepdim=True)
        energy, own = torch.linalg.eigh(torch.cov(sample, correction=0).reshape(len(sample), -1))
        energy, own = energy.flip(0).clamp(min=0), own.flip(1)
        rank = min(RANK, int((energy > 1e-10 * energy[0]).sum()))
        turned, single = own[:, :rank] / energy[:rank].sqrt(), SingleScores(form, item_vec)
        factor = torch.empty(items, rank)
        for at in range(0, items, PIECE):
            piece = single.of(pilot_vec, at, min(at + PIECE, items)).cpu()
            factor[at : at + PIECE] = (piece - mean).T @ turned
        known = torch.cat([mean.new_ones(len(anchor), 1), factor[torch.from_numpy(anchor)].double()], 1)
        left = energy[rank:].sum() + 1e-6 * energy[0]
        doubt = torch.cat([energy.new_zeros(1), left / energy[:rank]])
        solve = torch.linalg.solve(known.T @ known + torch.diag(doubt), known.T)[1:].T
    return Basis(factor.numpy(), anchor, np.ascontiguousarray(solve.numpy()))


def pays(head: Head, item_vec: Tensor) -> bool:
    """Whether a list of 100 is found faster so than exactly, by what an item takes: measured on one core of a Zen 4.

    Dot products, and functions of them, are what is retrieved by; and the definition of other heads knows only blocks.
    """
    form = form_of(head, item_vec.shape[1])
    if form is None or form.hidden == 0 or item_vec.device.type != "cpu":
        return False
    products = form.flat.weight.size + form.dot
    exact = len(item_vec) * products * (BY_INTEGERS if vnni.available() else BY_FLOATS)
    judged = (ANCHORS + FETCHED + 100 * PER_PLACE) * (products * BY_DEFINITION + HELD)
    return exact > judged + len(item_vec) * RETRIEVED


@final
class ApproximateRanker:
    """As a Ranker, but an item that the basis does not foretell may be missing."""

    def __init__(self, head: Head, item_vec: Tensor, pilot_vec: Tensor, device: torch.device = CPU) -> None:
        """An AdditiveHead; item_vec float32 [N, D], N at least 1; pilot_vec float32 [n, D], n at least 1."""
        form = form_of(head, item_vec.shape[1])
        if form is None or form.hidden == 0:
            raise ValueError(f"no basis is known for a {type(head).__name__}; rank it exactly")
        check_weights(head)
        check_vectors("item", item_vec)
        check_vectors("user", pilot_vec)
        on_device = item_vec.detach().to(device).contiguous()
        self._judge, self._items = Judge(form, on_device), len(on_device)
        self._basis = basis_of(form, on_device, pilot_vec.detach())
        self._dots = Ranker(DotHead(), torch.from_numpy(self._basis.factor), device)

    def top_k(self, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        """float32 [B, D] -> lists of at most k items: score descending, then item row ascending."""
        check_vectors("user", user_vec)
        best, vec = Best(len(user_vec), k), user_vec.detach().cpu().contiguous().numpy()
        place = np.empty((len(vec), self._basis.factor.shape[1]), np.float32)
        some = [np.arange(at, min(at + TOGETHER, len(vec))) for at in range(0, len(vec), TOGETHER)]

        def locate(user: Int64) -> None:
            start = np.arange(len(user) + 1) * len(self._basis.anchor)
            score = self._judge.scores(vec[user], start, np.tile(self._basis.anchor, len(user)))
            place[user] = _placed(score.reshape(len(user), -1), self._basis.solve)

        side_by_side(locate, some, torch.get_num_threads())
        number = min(FETCHED + PER_PLACE * k, self._items)
        found = self._dots.top_k(torch.from_numpy(place), number, seen)

        def rank(user: Int64) -> None:
            row = np.sort(found.item_row[user], axis=1)
            kept = row >= 0
            start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
            self._judge.offer(best, user, vec[user], start, row[kept])

        side_by_side(rank, some, torch.get_num_threads())
        return best.top


@compiled
def _placed(score: Float64, solve: Float64) -> Float64:
    """score @ solve, each sum in one order: float64 [b, A], float64 [A, R] -> float64 [b, R]."""
    place = np.zeros((len(score), solve.shape[1]))
    for user in range(len(score)):
        for anchor in range(len(solve)):
            for r in range(solve.shape[1]):
                place[user, r] += score[user, anchor] * solve[anchor, r]
    return place
