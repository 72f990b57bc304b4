"""Retrieve and rerank: scores are those of the definition, and hardly anything is missed of what has a low rank."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from rec_export.topk import Ranker, Seen, TopK, approximate
from rec_export.topk.approximate import ApproximateRanker, pays
from rec_export.topk.definition import score_pairs
from rec_export.topk.form import form_of
from rec_export.topk.ruled import RuledRanker
from rec_export.towers import AdditiveHead, DotHead, ResidualHead, ScalarHead
from tests.rec_export.topk.test_dot_engine import seen_of

USERS, ITEMS, WIDTH, DOT, K = 60, 3000, 12, 4, 10


def world() -> tuple[AdditiveHead, Tensor, Tensor, Tensor]:
    """A head with a dot part, 60 users, items, and other users as pilots."""
    torch.manual_seed(0)
    head = AdditiveHead((WIDTH, 8), DOT)
    user_vec, item_vec, pilot_vec = (torch.randn(rows, WIDTH + DOT) for rows in (USERS, ITEMS, 128))
    return head, user_vec, item_vec, pilot_vec


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few items are fetched that some may be missed."""
    monkeypatch.setattr(approximate, "FETCHED", 20)
    monkeypatch.setattr(approximate, "PER_PLACE", 2)
    monkeypatch.setattr(approximate, "RANK", 3)


@pytest.mark.usefixtures("few")
def test_scores_are_those_of_the_definition_in_their_order_and_hardly_an_item_is_missing() -> None:
    head, user_vec, item_vec, pilot_vec = world()
    seen = seen_of(USERS, ITEMS, 0.02, np.random.default_rng(0))
    got = ApproximateRanker(head, item_vec, pilot_vec).top_k(user_vec, K, seen)
    form = form_of(head, WIDTH + DOT)
    assert form is not None
    start = np.arange(USERS + 1) * K
    wanted = score_pairs(form, user_vec.numpy(), item_vec.numpy(), start, got.item_row.ravel()).reshape(USERS, K)
    assert np.array_equal(got.score, wanted)
    assert np.array_equal(got.count, np.full(USERS, K))
    assert (np.diff(got.score, axis=1) <= 0).all()
    assert not any(np.isin(row, seen.take(np.array([user])).item_row).any() for user, row in enumerate(got.item_row))
    exact = Ranker(head, item_vec).top_k(user_vec, K, seen).item_row
    recall = np.mean([np.isin(one, other).mean() for one, other in zip(exact, got.item_row, strict=True)])
    assert 0.5 < recall < 1


@pytest.mark.usefixtures("few")
def test_bits_depend_on_neither_batch_nor_threads(threads: Callable[[int], None]) -> None:
    head, user_vec, item_vec, pilot_vec = world()
    lists = []
    for number, step in ((1, USERS), (3, 7)):
        threads(number)
        ranker = ApproximateRanker(head, item_vec, pilot_vec)
        parts = [ranker.top_k(some, K, Seen.none(len(some))) for some in user_vec.split(step)]
        lists.append(TopK(*(np.concatenate(part) for part in zip(*parts, strict=True))))
    assert all(np.array_equal(one, other) for one, other in zip(*lists, strict=True))


def test_is_exact_where_everything_is_fetched_and_lists_are_short_only_where_nothing_is_left() -> None:
    head, user_vec, item_vec, pilot_vec = world()
    item_vec = item_vec[:300]
    seen = Seen.of(np.zeros(295, np.int64), np.arange(295), USERS)
    got, wanted = (
        ranker.top_k(user_vec, K, seen)
        for ranker in (ApproximateRanker(head, item_vec, pilot_vec), Ranker(head, item_vec))
    )
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(got, wanted, strict=True))
    assert got.count[:2].tolist() == [5, 10]


def test_a_penalty_is_part_of_what_is_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    head, user_vec, item_vec, pilot_vec = world()
    penalty = np.linspace(0, 5, ITEMS, dtype=np.float32)
    monkeypatch.setattr("rec_export.topk.ruled.pays", lambda *_: True)
    exact, near = (
        RuledRanker(head, item_vec, penalty=penalty, pilot_vec=pilots).top_k(user_vec, K, Seen.none(USERS)).top
        for pilots in (None, pilot_vec)
    )
    assert (
        np.mean([np.isin(one, other).mean() for one, other in zip(exact.item_row, near.item_row, strict=True)]) > 0.99
    )


def test_users_who_are_all_alike_and_items_that_are_all_alike_have_a_basis() -> None:
    head, user_vec, item_vec, pilot_vec = world()
    for users, items in ((pilot_vec[:1], item_vec), (pilot_vec[:1].expand(5, -1), item_vec), (pilot_vec, item_vec[:1])):
        got = ApproximateRanker(head, items, users).top_k(user_vec, 3, Seen.none(USERS))
        assert got.count.tolist() == [min(3, len(items))] * USERS
    alike = ApproximateRanker(head, item_vec[:1].repeat(900, 1), pilot_vec).top_k(user_vec, 3, Seen.none(USERS))
    assert alike.count.tolist() == [3] * USERS


def test_pays_for_wide_networks_and_many_items_alone() -> None:
    wide, narrow = AdditiveHead((64, 32), 0), AdditiveHead((4,), 0)
    many = torch.zeros(1, 64).expand(1_000_000, 64)
    assert [pays(wide, many), pays(wide, many[:1000]), pays(narrow, many[:100_000, :4])] == [True, False, False]
    assert not any(pays(head, many) for head in (DotHead(), ScalarHead((4,)), ResidualHead((32,))))
    with pytest.raises(ValueError, match="no basis is known for a DotHead"):
        ApproximateRanker(DotHead(), many[:5], many[:5])
