"""Under rules the lists are still those of the definition, bit for bit, whichever engine finds them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rec_export.errors import ModelError
from rec_export.topk import Ranker, Seen, TopK, caps, own_items, parts, ranker, vnni
from rec_export.topk.caps import Caps
from rec_export.topk.contract import Added, Allowed
from rec_export.topk.dot_engine import DotEngine
from rec_export.topk.own_items import OwnItems
from rec_export.topk.reference import by_definition, by_rules
from rec_export.topk.ruled import RuledRanker
from rec_export.towers import AdditiveHead, DotHead, Head, ResidualHead, ScalarHead
from tests.rec_export.topk.worlds import same

HEADS: dict[str, tuple[Callable[[], Head], int]] = {  # and how wide its vectors are
    "dot": (DotHead, 5),
    "additive": (lambda: AdditiveHead((4, 3), 0), 4),
    "additive and dot": (lambda: AdditiveHead((4,), 2), 6),
    "scalar": (lambda: ScalarHead((3,)), 5),
    "by blocks": (lambda: ResidualHead((2,)), 4),
}


class Case(NamedTuple):
    """A head, vectors, and all the rules that are exact."""

    head: Head
    user_vec: Tensor
    item_vec: Tensor
    seen: Seen
    allowed: Allowed
    caps: Caps | None
    penalty: Tensor | None
    added: Added | None

    def wanted(self, k: int) -> TopK:
        """By the slow reference."""
        penalty = None if self.penalty is None else self.penalty.tolist()
        return by_rules(
            self.head, self.user_vec, self.item_vec, k, self.seen, self.allowed, self.caps, penalty, self.added
        )  # fmt: skip

    def got(self, k: int) -> TopK:
        """By the engine for the head."""
        penalty = None if self.penalty is None else self.penalty.numpy()
        ruled = RuledRanker(self.head, self.item_vec, penalty=penalty, caps=self.caps)
        return ruled.top_k(self.user_vec, k, self.seen, self.allowed, self.added).top


def lists(random: np.random.Generator, users: int, items: int, sizes: list[int]) -> Seen:
    """Items of each user, some of them twice; how many is drawn from `sizes`."""
    drawn = [random.integers(0, items, random.choice(sizes)) for _ in range(users)]
    return Seen(np.cumsum([0, *map(len, drawn)]), np.concatenate(drawn))


def numbers(random: np.random.Generator, tied: bool, *size: int) -> Tensor:
    """float32, small whole numbers where scores should tie."""
    drawn = random.integers(-1, 2, size) if tied else random.standard_normal(size)
    return torch.from_numpy(drawn.astype(np.float32))


def caps_of(random: np.random.Generator, items: int, kinds: list[int]) -> Caps:
    """Caps on several columns, of so many kinds each; one item in five is of no kind."""
    first = np.cumsum([0, *kinds])[:-1]
    kind = first + random.integers(0, kinds, (items, len(kinds)))
    kind[random.random(kind.shape) < 0.2] = -1
    return Caps(kind, random.choice([1, 1, 2, 5], sum(kinds)))


def make(
    head: str, tied: bool, users: int, items: int, seen: int,
    restricted: float, kinds: list[int], scale: float, seed: int, added: float = 0.0,
) -> Case:  # fmt: skip
    """A world; `restricted`: the share of users with a list of their own; `scale`: of the penalty.

    `added`: the share of the pairs to which something is added.
    """
    random = np.random.default_rng(seed)
    module, width = HEADS[head][0](), HEADS[head][1]
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(numbers(random, tied, *weight.shape))
    user_vec, item_vec = numbers(random, tied, users, width), numbers(random, tied, items, width)
    bound, own = random.random(users) < restricted, lists(random, users, items, [0, 1, 1, 2, items])
    theirs = bound[own.user()]
    allowed = Allowed(bound, Seen.of(own.user()[theirs], own.item_row[theirs], users))
    caps = caps_of(random, items, kinds) if kinds else None
    penalty = torch.from_numpy((scale * random.integers(0, 3, items)).astype(np.float32)) if scale else None
    hidden = lists(random, users, items, [0, seen, 3 * items])
    terms = terms_of(random, tied, users, items, added) if added else None
    return Case(module, user_vec, item_vec, hidden, allowed, caps, penalty, terms)


def terms_of(random: np.random.Generator, tied: bool, users: int, items: int, share: float) -> Added:
    """Terms for this share of the pairs, of either sign and sometimes 0, in no order."""
    user, item = np.nonzero(random.random((users, items)) < share)
    order = random.permutation(len(user))
    pairs = Seen.of(user[order], item[order], users)
    return Added(pairs, 2 * numbers(random, tied, len(user)).numpy())


cases = st.builds(
    make,
    st.sampled_from(sorted(HEADS)),
    st.booleans(),
    users=st.integers(1, 6),
    items=st.integers(1, 90),
    seen=st.sampled_from((0, 5, 60)),
    restricted=st.sampled_from((0.0, 0.5, 1.0)),
    kinds=st.sampled_from(([], [1], [3], [40], [3, 9], [1, 2, 60])),
    scale=st.sampled_from((0.0, 1.0, 0.3, 1e-8)),
    seed=st.integers(0, 2**32 - 1),
    added=st.sampled_from((0.0, 0.05, 0.5, 1.0)),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(case=cases, k=st.sampled_from((1, 2, 3, 10, 40, 100)))
def test_is_the_definition(case: Case, k: int) -> None:
    assert same(case.got(k), case.wanted(k))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(case=cases.filter(lambda case: case.caps is not None), k=st.sampled_from((1, 2, 3, 10, 40)))
def test_parts_of_any_size_give_the_same_lists(case: Case, k: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "LEAST", 1)
        assert same(case.got(k), case.wanted(k))


@pytest.mark.skipif(not vnni.available(), reason="a processor without AVX-512 VNNI: the tiles do the work")
@settings(derandomize=True, max_examples=60, deadline=None)
@given(case=cases.filter(lambda case: isinstance(case.head, DotHead)), k=st.sampled_from((1, 3, 10)))
def test_8_bit_integers_give_the_same_lists(case: Case, k: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DotEngine, "_pays", lambda *_: True)
        patch.setattr(parts, "LEAST", 4)
        assert same(case.got(k), case.wanted(k))


def world(kind: list[int], limit: list[int], score: list[float]) -> tuple[RuledRanker, Tensor]:
    """Items of these kinds and scores, and one user."""
    item_vec = torch.tensor(score).unsqueeze(1)
    return RuledRanker(DotHead(), item_vec, caps=Caps(np.array(kind)[:, None], np.array(limit, np.int64))), torch.ones(
        1, 1
    )


def test_a_cap_lets_the_next_best_of_another_kind_in_and_counts_what_it_keeps_out() -> None:
    ruled, user_vec = world([0, 0, 0, 1, 0, -1], [2, 9], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    got = ruled.top_k(user_vec, 4, Seen.none(1))
    assert got.top.item_row.tolist() == [[0, 1, 3, 5]]
    assert got.top.score.tolist() == [[6.0, 5.0, 3.0, 1.0]]
    assert (got.capped.tolist(), got.varied.tolist()) == ([1], [0])


def test_what_is_added_lets_an_item_pass_others_and_a_cap_counts_it_where_it_then_stands() -> None:
    ruled, user_vec = world([0, 0, 1, 1], [1, 1], [4.0, 3.0, 2.0, 1.0])
    again = Added(Seen(np.array([0, 2]), np.array([3, 0])), np.array([9.0, -0.5], np.float32))
    got = ruled.top_k(user_vec, 3, Seen.none(1), None, again)
    assert (got.top.item_row.tolist(), got.top.score[0, :2].tolist()) == ([[3, 0, -1]], [10.0, 3.5])
    hidden = Seen(np.array([0, 1]), np.array([3]))
    assert ruled.top_k(user_vec, 3, hidden, None, again).top.item_row.tolist() == [[0, 2, -1]]


def test_any_number_of_items_of_a_full_kind_that_something_is_added_to_leaves_room_for_others() -> None:
    ruled, user_vec = world([0] * 5000 + [1, 2, 2, 3], [1] * 4, [float(5004 - i) for i in range(5004)])
    again = Added(Seen(np.array([0, 4000]), np.arange(4000)), np.full(4000, 7.0, np.float32))
    got = ruled.top_k(user_vec, 5, Seen.none(1), None, again).top
    assert (got.item_row.tolist(), got.count.tolist()) == ([[0, 5000, 5001, 5003, -1]], [4])


def test_what_is_added_brings_nothing_that_is_not_on_a_list_of_ones_own() -> None:
    """Also where caps ask for more, as many of one kind are passed over."""
    ruled, user_vec = world([0] * 50 + [1, 2, 3], [1, 1, 1, 1], [float(60 - i) for i in range(53)])
    again = Added(Seen(np.array([0, 2]), np.array([51, 52])), np.array([-70.0, -80.0], np.float32))
    own = Allowed(np.array([True]), Seen(np.array([0, 52]), np.delete(np.arange(53), 52)))
    got = ruled.top_k(user_vec, 4, Seen.none(1), own, again).top
    assert got.item_row.tolist() == [[0, 50, 51, -1]]


def test_a_list_is_found_behind_any_number_of_items_of_a_full_kind() -> None:
    ruled, user_vec = world([0] * 5000 + [1, 2, 2, 3], [1] * 4, [float(5004 - i) for i in range(5004)])
    got = ruled.top_k(user_vec, 5, Seen.none(1)).top
    assert (got.item_row.tolist(), got.count.tolist()) == ([[0, 5000, 5001, 5003, -1]], [4])


def test_items_of_no_kind_are_not_capped() -> None:
    ruled, user_vec = world([-1, -1], [], [1.0, 2.0])
    assert ruled.top_k(user_vec, 3, Seen.none(1)).top.item_row.tolist() == [[1, 0, -1]]


def test_the_items_of_a_full_kind_are_not_scanned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned: list[int] = []
    top_k = Ranker.top_k

    def noted(self: Ranker, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        scanned.append(len(self._item_vec))
        assert len(seen.item_row) < 10
        return top_k(self, user_vec, k, seen)

    monkeypatch.setattr(ranker.Ranker, "top_k", noted)
    ruled, user_vec = world([0] * 5000 + [1, 2, 2, 3], [1] * 4, [float(5004 - i) for i in range(5004)])
    assert ruled.top_k(user_vec, 4, Seen.none(1)).top.item_row.tolist() == [[0, 5000, 5001, 5003]]
    assert scanned == [5004, 4]


@pytest.mark.parametrize(("head", "several"), [(DotHead(), True), (ResidualHead((2,)), False)])
def test_a_head_of_which_nothing_is_known_is_ranked_in_one_part(
    head: Head, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bits may depend on what else is scored, so a second look at fewer items could score them otherwise."""
    monkeypatch.setattr(parts, "LEAST", 5)
    kinds = Caps((np.arange(60) % 3)[:, None], np.full(3, 1))
    ruled = RuledRanker(head, torch.randn(60, 4, generator=torch.Generator().manual_seed(0)), caps=kinds)
    assert (len(ruled._parted.parts.item) > 1) is several


def test_few_users_at_a_time_go_on_where_caps_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make("dot", True, 6, 90, 5, 0.0, [3, 9], 0.0, 1)
    monkeypatch.setattr(caps, "HIDDEN", 100)
    assert same(case.got(10), case.wanted(10))


def test_what_a_list_of_ones_own_leaves_is_scored_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make("dot", False, 6, 90, 5, 1.0, [], 0.0, 3)
    monkeypatch.setattr(own_items, "PAIRS", 7)
    assert same(case.got(10), case.wanted(10))


def test_who_has_a_list_of_ones_own_is_not_scanned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned: list[int] = []
    top_k = Ranker.top_k

    def noted(self: Ranker, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        scanned.append(len(user_vec))
        return top_k(self, user_vec, k, seen)

    monkeypatch.setattr(ranker.Ranker, "top_k", noted)
    allowed = Allowed(np.array([True, False, True]), Seen(np.array([0, 2, 2, 2]), np.array([3, 1])))
    got = RuledRanker(DotHead(), torch.arange(4.0).unsqueeze(1)).top_k(torch.ones(3, 1), 2, Seen.none(3), allowed).top
    assert (got.item_row.tolist(), scanned) == ([[3, 1], [3, 2], [-1, -1]], [1])


def test_a_vector_that_is_not_finite_is_found_where_nothing_is_scanned() -> None:
    with pytest.raises(ModelError, match="1 of 1 user vectors are not finite"):
        OwnItems(DotHead(), torch.ones(2, 1)).top_k(
            torch.full((1, 1), torch.nan), 1, Seen(np.array([0, 1]), np.array([0])), Seen.none(1)
        )


def test_without_rules_the_lists_are_the_ranker_s() -> None:
    case = make("additive", False, 5, 80, 5, 0.0, [], 0.0, 0)
    got = RuledRanker(case.head, case.item_vec).top_k(case.user_vec, 7, case.seen)
    assert same(got.top, by_definition(case.head, case.user_vec, case.item_vec, 7, case.seen))
    assert not got.capped.any()
    assert not got.varied.any()


@pytest.mark.parametrize("head", sorted(HEADS))
def test_nobody_and_an_empty_catalogue_give_empty_lists(head: str) -> None:
    case = make(head, False, 2, 3, 0, 0.5, [2], 0.0, 0)
    nothing = Caps(np.zeros((0, 1), np.int64), case.caps.limit if case.caps else np.ones(2, np.int64))
    none = RuledRanker(case.head, case.item_vec[:0], caps=nothing)
    assert none.top_k(case.user_vec, 4, Seen.none(2)).top.count.tolist() == [0, 0]
    everything = RuledRanker(case.head, case.item_vec, caps=case.caps)
    assert everything.top_k(case.user_vec[:0], 4, Seen.none(0)).top.item_row.shape == (0, 4)
