"""bfloat16 products find the groups, whatever the sizes: the lists are those of the definition, bit for bit."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rec_export.errors import DeviceError
from rec_export.topk import Seen, groups
from rec_export.topk.best import Best
from rec_export.topk.bound import UNIT
from rec_export.topk.brief import SUMMED, BriefDots
from rec_export.topk.contract import Int64
from rec_export.topk.definition import score_pairs
from rec_export.topk.form import Form, form_of
from rec_export.topk.groups import GroupEngine
from rec_export.topk.judge import Judge
from rec_export.topk.maxima import GROUP, ITEMS, TileMaxima
from rec_export.topk.reference import by_definition
from rec_export.topk.single import SingleScores
from rec_export.topk.tiles import Tile, TileEngine
from rec_export.towers import AdditiveHead, DotHead, Head
from tests.rec_export.topk.test_dot_engine import KINDS, SCALES, seen_of, vectors
from tests.rec_export.topk.worlds import same

HEADS: dict[str, Callable[[], Head]] = {
    "dot": DotHead,
    "one layer": lambda: AdditiveHead((4,), 3),
    "two layers": lambda: AdditiveHead((5, 3), 2),
}
FREE = 1 << 20


def made(head: Head, item_vec: Tensor, free: int = FREE, group: int = GROUP, tile: int = ITEMS) -> GroupEngine:
    """The engine on the CPU, with so much memory."""
    form = of(head, item_vec)
    tiles, maxima = TileEngine(form, item_vec, Tile(64, 1000)), TileMaxima(form, item_vec, group, tile)
    return GroupEngine(form, item_vec, tiles, maxima, lambda _: free)


def of(head: Head, item_vec: Tensor) -> Form:
    """The form of a head."""
    form = form_of(head, item_vec.shape[1])
    assert form is not None
    return form


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    head=st.sampled_from(sorted(HEADS)),
    kind=st.sampled_from(KINDS),
    scale=st.sampled_from(SCALES),
    users=st.integers(1, 6),
    items=st.integers(1, 120),
    k=st.sampled_from((1, 2, 5)),
    share=st.sampled_from((0.0, 0.1, 0.9, 5.0)),
    group=st.sampled_from((1, 3, 8)),
    tile=st.sampled_from((1, 5, 40)),
    free=st.sampled_from((1, 1 << 15, FREE)),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_the_definition(
    head: str, kind: str, scale: float, users: int, items: int, k: int, share: float, group: int, tile: int,
    free: int, seed: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    random, module = np.random.default_rng(seed), HEADS[head]()
    user_vec, item_vec = vectors(kind, users, 7, random), vectors(kind, items, 7, random) * scale
    seen = seen_of(users, items, share, random)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "SLACK", 4)
        got = made(module, item_vec, free, group, tile * group).top_k(user_vec, k, seen)
    assert same(got, by_definition(module, user_vec, item_vec, k, seen))


@pytest.mark.parametrize(("users", "items", "k"), [(20, 10_000, 10), (3, 20_000, 100)])
def test_few_pairs_are_left_to_the_definition_and_nobody_to_the_tiles(
    users: int, items: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, offer = [], Judge.offer_where

    def counted(self: Judge, best: Best, user: Int64, user_vec: Tensor, kept: Tensor, row: Tensor) -> None:
        judged.append(int(kept.sum()))
        offer(self, best, user, user_vec, kept, row)

    monkeypatch.setattr(Judge, "offer_where", counted)
    monkeypatch.setattr(TileEngine, "top_k", lambda *_: pytest.fail("a user is left to the tiles"))
    torch.manual_seed(0)
    user_vec, item_vec = torch.randn(users, 32), torch.randn(items, 32)
    got = made(DotHead(), item_vec, 1 << 30).top_k(user_vec, k, Seen.none(users))
    assert users * k <= sum(judged) < 1.05 * users * k
    assert same(got, by_definition(DotHead(), user_vec, item_vec, k, Seen.none(users)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_no_brief_product_is_further_from_the_score_than_its_bound(kind: str, scale: float) -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = vectors(kind, 9, 70, random), vectors(kind, 300, 70, random) * scale
    brief = BriefDots(item_vec)
    start, rows = np.arange(10) * 300, np.tile(np.arange(300), 9)
    wanted = score_pairs(of(DotHead(), item_vec), user_vec.numpy(), item_vec.numpy(), start, rows).reshape(9, 300)
    error = np.abs(brief.scores(user_vec, 0, 300).double().numpy() - wanted)
    assert (error <= brief.bound(user_vec).numpy()[:, None]).all()


@pytest.mark.parametrize("together", [1, 4, 16])
@pytest.mark.parametrize("spread", [0.0, 8.0])
def test_a_sum_that_is_cut_at_each_step_as_on_a_tensor_core_loses_less_than_is_counted(
    together: int, spread: float
) -> None:
    """Cut, not rounded, to 24 bits counted from the largest added; all of one sign, so that all errors go one way."""
    random = np.random.default_rng(0)
    for width in (1, 16, 64, 250):
        term = random.random(width) * np.exp2(spread * random.standard_normal(width))
        total = np.zeros(())
        for some in np.split(term, range(together, width, together)):
            total = cut(cut(np.append(some, total)).sum())
        assert 0 <= term.sum() - total <= SUMMED * width * UNIT * term.sum()


def cut(number: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """float64 [...] -> the same, without what is below the 24th bit of the largest."""
    unit = np.exp2(np.frexp(np.abs(number).max())[1] - 24)
    return np.trunc(number / unit) * unit


def test_products_too_small_for_float32_are_within_the_bound() -> None:
    torch.manual_seed(0)
    user_vec, item_vec = torch.rand(8, 64) * 1e-20, torch.rand(300, 64) * 1e-25
    brief, wanted = BriefDots(item_vec), user_vec.double() @ item_vec.double().T
    assert ((brief.scores(user_vec, 0, 300).double() - wanted).abs() <= brief.bound(user_vec)[:, None]).all()


def test_the_users_who_come_together_are_halved_until_the_memory_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, scores = [], BriefDots.scores

    def short(self: BriefDots, user_vec: Tensor, first: int, last: int) -> Tensor:
        tried.append(len(user_vec))
        if len(user_vec) > 20:
            raise torch.OutOfMemoryError("no room")
        return scores(self, user_vec, first, last)

    monkeypatch.setattr(BriefDots, "scores", short)
    torch.manual_seed(0)
    user_vec, item_vec = torch.randn(90, 8), torch.randn(3000, 8)
    monkeypatch.setattr(GroupEngine, "_users", lambda *_: 1570)
    got = made(DotHead(), item_vec).top_k(user_vec, 5, Seen.none(90))
    assert tried == [90] * 5 + [49, 24] + [12] * 7 + [6]
    assert same(got, by_definition(DotHead(), user_vec, item_vec, 5, Seen.none(90)))


def test_a_memory_too_small_for_one_user_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(SingleScores, "of_pairs", none)
    with pytest.raises(DeviceError, match="the memory of cpu is not enough to score one user against 3,000 items;"):
        made(DotHead(), torch.ones(3000, 8)).top_k(torch.ones(5, 8), 5, Seen.none(5))


def test_more_memory_takes_more_users() -> None:
    item_vec = torch.ones(5000, 8)
    users = [made(DotHead(), item_vec, free)._users(10) for free in (1, 1 << 24, 1 << 28, 1 << 60)]
    assert users[0] == 1
    assert 1 < users[1] < users[2] < users[3] == groups.MOST_USERS
