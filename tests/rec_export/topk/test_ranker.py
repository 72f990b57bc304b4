"""Whatever the tile, the batch and the threads: the lists of the definition, bit for bit."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rec_export.errors import ModelError
from rec_export.topk import Ranker, Seen, TopK
from rec_export.topk.bound import Bound
from rec_export.topk.reference import by_definition
from rec_export.topk.single import SingleScores
from rec_export.topk.tiles import Tile
from rec_export.towers import AdditiveHead, DotHead
from tests.rec_export.topk.worlds import BY_BLOCKS, HEADS, KINDS, Case, make, same

CPU = torch.device("cpu")


SCALES = (1.0, 1e3, 1e-6, 1e-25, 1e-42, 1e25)

cases = st.builds(
    make,
    st.sampled_from(sorted(HEADS)),
    st.sampled_from(KINDS),
    users=st.integers(1, 5),
    items=st.integers(1, 70),
    scale=st.sampled_from(SCALES),
    seen=st.sampled_from((0.0, 0.2, 1.0, 4.0)),
    seed=st.integers(0, 2**32 - 1),
)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(case=cases, k=st.integers(1, 75), tile=st.builds(Tile, st.integers(1, 6), st.integers(1, 80)))
def test_is_the_definition(case: Case, k: int, tile: Tile) -> None:
    head, user_vec, item_vec, seen = case
    got = Ranker(head, item_vec, CPU, tile).top_k(user_vec, k, seen)
    assert same(got, by_definition(head, user_vec, item_vec, k, seen))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", sorted(HEADS))
def test_bits_depend_on_neither_tile_nor_batch_nor_threads(
    head: str, kind: str, threads: Callable[[int], None]
) -> None:
    items = 2500 if head in BY_BLOCKS else 400  # such a head sees blocks of 2,048
    module, user_vec, item_vec, seen = make(head, kind, users=7, items=items, seen=0.01)
    whole = Ranker(module, item_vec).top_k(user_vec, 20, seen)
    for number, tile, step in ((1, Tile(3, 150), 7), (2, Tile(512, 37), 2), (5, Tile(1, 400), 7)):
        threads(number)
        ranker = Ranker(module, item_vec, CPU, tile)
        parts = [
            ranker.top_k(user_vec[first : first + step], 20, seen.take(np.arange(first, min(first + step, 7))))
            for first in range(0, 7, step)
        ]
        assert same(TopK(*(np.concatenate(part) for part in zip(*parts, strict=True))), whole)


def test_all_items_equal_gives_the_lowest_rows() -> None:
    item_vec = torch.ones(5000, 4)
    got = Ranker(DotHead(), item_vec).top_k(torch.ones(2, 4), 3, Seen(np.array([0, 0, 3]), np.array([2, 0, 2])))
    assert got.item_row.tolist() == [[0, 1, 2], [1, 3, 4]]
    assert got.score.tolist() == [[4.0] * 3] * 2


def test_float64_decides_where_float32_errs() -> None:
    """Items so much alike that float32, in its own order of addition, ranks them otherwise."""
    torch.manual_seed(0)
    user_vec, item_vec = torch.randn(8, 256), torch.randn(1, 256) + torch.randn(2000, 256) / 2**20
    got = Ranker(DotHead(), item_vec).top_k(user_vec, 10, Seen.none(8))
    assert same(got, by_definition(DotHead(), user_vec, item_vec, 10, Seen.none(8)))
    assert not np.array_equal(got.item_row, (user_vec @ item_vec.T).topk(10).indices.numpy())


def test_float64_decides_where_float32_sees_nothing() -> None:
    """In float32 every one of these scores is 0; the definition tells them apart, and the best come last."""
    item_vec = torch.zeros(300, 3)
    item_vec[:, 0], item_vec[:, 1], item_vec[:, 2] = 2.0**30, torch.arange(300) / 256, -(2.0**30)
    got = Ranker(DotHead(), item_vec).top_k(torch.ones(1, 3), 4, Seen.none(1))
    assert got.item_row.tolist() == [[299, 298, 297, 296]]
    assert got.score.tolist() == [[299 / 256, 298 / 256, 297 / 256, 296 / 256]]


@pytest.mark.parametrize("seed", range(20))
def test_any_scores_within_the_bound_give_the_same_lists(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores are small integers, and the float32 scores as far off as the bound lets them be: each pass its own."""
    module, user_vec, item_vec, seen = make("dot", "grid", users=6, items=150, seed=seed)
    random = np.random.default_rng(seed)

    def as_far_off_as_may_be(_: SingleScores, user_vec: Tensor, first: int, last: int) -> Tensor:
        score = user_vec @ item_vec[first:last].T
        return score + torch.from_numpy(random.choice([-0.5, 0.5], tuple(score.shape))).float()

    monkeypatch.setattr(SingleScores, "of", as_far_off_as_may_be)
    monkeypatch.setattr(Bound, "of", lambda _, user_vec: user_vec.new_full((len(user_vec),), 0.5, dtype=torch.float64))
    for k in (1, 5, 30):
        got = Ranker(module, item_vec, CPU, Tile(6, 40)).top_k(user_vec, k, seen)
        assert same(got, by_definition(module, user_vec, item_vec, k, seen))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_overflow_of_float32_loses_no_item(k: int) -> None:
    """The float32 scores are inf, -inf, NaN, and a few that are sound."""
    item_vec = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [0.5, 1.0], [1e-30, 0.0]]) * 1e30
    user_vec = torch.full((1, 2), 1e30)
    got = Ranker(DotHead(), item_vec).top_k(user_vec, k, Seen.none(1))
    assert got.item_row[0].tolist() == [0, 3, 4, 2, 1][:k]
    assert same(got, by_definition(DotHead(), user_vec, item_vec, k, Seen.none(1)))


def test_seen_items_never_come_even_where_nothing_else_is_left() -> None:
    got = Ranker(DotHead(), torch.eye(3)).top_k(
        torch.ones(3, 3), 2, Seen(np.array([0, 3, 5, 5]), np.array([2, 0, 1, 1, 0]))
    )
    assert got.item_row.tolist() == [[-1, -1], [2, -1], [0, 1]]
    assert got.count.tolist() == [0, 1, 2]
    assert np.isnan(got.score).tolist() == [[True, True], [False, True], [False, False]]


@pytest.mark.parametrize("head", sorted(HEADS))
def test_memory_layout_and_gradients_do_not_matter(head: str) -> None:
    module, user_vec, item_vec, seen = make(head, "normal", users=4, items=60)
    wanted = by_definition(module, user_vec, item_vec, 5, seen)
    turned = item_vec.T.contiguous().T.requires_grad_()
    every_second = user_vec.repeat_interleave(2, 0)[::2]
    assert same(Ranker(module, turned).top_k(every_second, 5, seen), wanted)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_nobody_and_an_empty_catalogue_give_empty_lists(head: str) -> None:
    module, user_vec, item_vec, _ = make(head, "normal", users=2, items=3)
    assert Ranker(module, item_vec).top_k(user_vec[:0], 4, Seen.none(0)).item_row.shape == (0, 4)
    assert Ranker(module, item_vec[:0]).top_k(user_vec, 4, Seen.none(2)).count.tolist() == [0, 0]


def test_no_more_than_a_tile_is_ever_scored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module, user_vec, item_vec, seen = make("two layers and dot", "tied", users=20, items=200)
    scored: list[tuple[int, int]] = []
    of = SingleScores.of

    def noted(self: SingleScores, user_vec: Tensor, first: int, last: int) -> Tensor:
        scored.append((len(user_vec), last - first))
        return of(self, user_vec, first, last)

    monkeypatch.setattr(SingleScores, "of", noted)
    Ranker(module, item_vec, CPU, Tile(users=16, items=64)).top_k(user_vec, 5, seen)
    # Two passes, as everything ties; the second, which may keep every pair, takes one sixteenth of the users at a time.
    assert set(scored) == {(16, 64), (16, 8), (4, 64), (4, 8), (1, 64), (1, 8)}


@pytest.mark.parametrize("head", sorted(HEADS))
def test_a_vector_or_weight_that_is_not_finite_is_an_error_that_names_it(head: str) -> None:
    module, user_vec, item_vec, seen = make(head, "normal", users=3, items=9)
    item_vec[4, 1], item_vec[7, 0], user_vec[2, 1] = torch.nan, torch.inf, -torch.inf
    with pytest.raises(ModelError, match="2 of 9 item vectors are not finite, the first being row 4;"):
        Ranker(module, item_vec)
    with pytest.raises(ModelError, match="1 of 3 user vectors are not finite, the first being row 2;"):
        Ranker(module, torch.zeros_like(item_vec)).top_k(user_vec, 1, seen)
    for name, weight in module.named_parameters():
        with torch.no_grad():
            weight.view(-1)[0] = torch.nan
        with pytest.raises(ModelError, match=f"numbers in the head's {name} are not finite"):
            Ranker(module, torch.zeros_like(item_vec))
        with torch.no_grad():
            weight.zero_()


@pytest.mark.parametrize("cancelling", [False, True])
def test_a_head_that_leads_out_of_float64_is_an_error_and_no_ranking(cancelling: bool) -> None:
    head = AdditiveHead((2,) * 10, 0)
    with torch.no_grad():
        for weight in head.parameters():
            weight.fill_(3e38)
        if cancelling:  # infinity minus infinity, with a relu still to come
            layer = list(head.tail.parameters())[-4]
            layer[:, 1] = -layer[:, 0]
    with pytest.raises(ModelError, match="scores are not finite though all vectors are"):
        Ranker(head, torch.ones(5, 2)).top_k(torch.ones(1, 2), 2, Seen.none(1))


def test_what_is_no_matrix_of_float32_and_no_k_are_refused() -> None:
    with pytest.raises(ValueError, match=r"item vectors are torch.float64 of shape \(2, 3\)"):
        Ranker(DotHead(), torch.zeros(2, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="k is 0"):
        Ranker(DotHead(), torch.zeros(2, 3)).top_k(torch.zeros(1, 3), 0, Seen.none(1))
