"""MLP heads by 8-bit integers: whatever they lose, the lists are those of the definition, bit for bit."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rec_export.topk import Ranker, Seen, TopK, crowd, folded, mlp_engine, mlp_scan, network, vnni
from rec_export.topk.contract import Float64
from rec_export.topk.form import Form, form_of
from rec_export.topk.mlp_engine import MlpEngine
from rec_export.topk.reference import by_definition
from rec_export.topk.tiles import Tile, TileEngine
from rec_export.towers import AdditiveHead
from tests.rec_export.topk.test_dot_engine import seen_of, vectors
from tests.rec_export.topk.worlds import same

needs_vnni = pytest.mark.skipif(not vnni.available(), reason="a processor without AVX-512 VNNI: the tiles do the work")
KINDS = ("normal", "grid", "tied", "skewed", "biased", "cancelling", "units")
SCALES = (1.0, 1e3, 1e-6, 1e-25, 1e-42, 1e15)
SHAPES = ((1,), (6,), (5, 3), (8, 8), (4, 1), (6, 5, 3), (3, 9, 4), (1, 1, 1))
WEIGHTS = ("normal", "positive", "integers", "sparse", "zero", "large")


def head_of(hidden: tuple[int, ...], dot: int, weights: str, random: np.random.Generator) -> AdditiveHead:
    """A head with weights of a kind."""
    head = AdditiveHead(hidden, dot).requires_grad_(False)
    for part in head.parameters():
        value = random.standard_normal(part.shape)
        if weights == "positive":
            value = np.abs(value)
        if weights == "integers":
            value = np.rint(value)
        if weights == "sparse":
            value *= random.random(part.shape) < 0.3
        if weights == "zero":
            value[:] = 0
        if weights == "large":
            value *= 1e8 ** random.standard_normal(part.shape)
        part.copy_(torch.from_numpy(value))
    return head


def form(head: AdditiveHead) -> Form:
    """Its form."""
    known = form_of(head, head.width + head.dot)
    assert known is not None
    return known


def engine(head: AdditiveHead, item_vec: Tensor, bits: int = 6) -> MlpEngine:
    """The engine, whether it pays or not."""
    return MlpEngine(form(head), item_vec, TileEngine(form(head), item_vec, Tile(64, 1000)), bits)


@needs_vnni
@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    hidden=st.sampled_from(SHAPES),
    dot=st.sampled_from((0, 0, 1, 6)),
    weights=st.sampled_from(WEIGHTS),
    kind=st.sampled_from(KINDS),
    scale=st.sampled_from(SCALES),
    users=st.integers(1, 7),
    items=st.integers(1, 150),
    k=st.sampled_from((1, 2, 10, 60, 400)),
    share=st.sampled_from((0.0, 0.1, 1.0, 5.0)),
    bits=st.integers(6, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_the_definition(
    hidden: tuple[int, ...],
    dot: int,
    weights: str,
    kind: str,
    scale: float,
    users: int,
    items: int,
    k: int,
    share: float,
    bits: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    head, width = head_of(hidden, dot, weights, random), hidden[0] + dot
    user_vec, item_vec = vectors(kind, users, width, random) * scale, vectors(kind, items, width, random) * scale
    if kind == "cancelling":
        user_vec[:, -1] = -user_vec[:, 0]
    seen = seen_of(users, items, share, random)
    got = engine(head, item_vec, bits).by_scan(user_vec, k, seen)
    assert same(got, by_definition(head, user_vec, item_vec, k, seen))


@needs_vnni
@pytest.mark.parametrize("hidden", [(16,), (16, 8), (12, 16, 8)])
@pytest.mark.parametrize("kind", ["normal", "tied", "skewed"])
def test_bits_depend_on_neither_tile_nor_batch_nor_threads_nor_engine(
    hidden: tuple[int, ...], kind: str, threads: Callable[[int], None]
) -> None:
    random = np.random.default_rng(0)
    head, width = head_of(hidden, 5, "normal", random), hidden[0] + 5
    user_vec, item_vec = vectors(kind, 20, width, random), vectors(kind, 3000, width, random)
    seen = seen_of(20, 3000, 0.02, random)
    wanted = TileEngine(form(head), item_vec, Tile(64, 1000)).top_k(user_vec, 20, seen)
    for number, bits, step in ((1, 9, 20), (2, 6, 7), (5, 7, 20)):
        threads(number)
        own = engine(head, item_vec, bits)
        users = [np.arange(first, min(first + step, 20)) for first in range(0, 20, step)]
        parts = [own.by_scan(user_vec[user], 20, seen.take(user)) for user in users]
        assert same(TopK(*(np.concatenate(part) for part in zip(*parts, strict=True))), wanted)


@needs_vnni
@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    hidden=st.sampled_from(SHAPES),
    dot=st.sampled_from((0, 3)),
    weights=st.sampled_from(WEIGHTS[:4]),
    kind=st.sampled_from(KINDS),
    far=st.sampled_from((1.0, 1.0, 1e12)),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_score_lies_within_its_bounds(
    hidden: tuple[int, ...], dot: int, weights: str, kind: str, far: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    head, width = head_of(hidden, dot, weights, random), hidden[0] + dot
    user_vec, item_vec = vectors(kind, 4, width, random) * far, vectors(kind, 100, width, random)
    low, high, height = bounds_of(engine(head, item_vec), user_vec, by_all(head, user_vec, item_vec))
    assert np.all((low <= height) & (height <= high))


def bounds_of(own: MlpEngine, user_vec: Tensor, score: Float64) -> tuple[Float64, Float64, Float64]:
    """float64 [B, N], three times: both bounds, and what they bound, made of the scores."""
    users, items = score.shape
    before, everyone = own._crowd(user_vec.numpy(), Seen.none(users)), np.arange(users)
    found = mlp_scan.Found.nothing(users, 4 * items + 64, own._folded.row < 0)
    own._pass(0, len(own._folded.tiles.least), before, everyone, items, found)  # all: the floor is minus infinity
    bounds = np.full((2, users, items), np.nan)
    for user, number in enumerate(found.number):
        row = own._folded.row[found.place[user, :number]]
        for bound, value in zip(bounds, (found.low, found.high), strict=True):
            bound[user, row[row >= 0]] = value[user, :number][row >= 0]
    return bounds[0], bounds[1], score - before.same[:, None]


def by_all(head: AdditiveHead, user_vec: Tensor, item_vec: Tensor) -> Float64:
    """Every score, by the definition."""
    top = by_definition(head, user_vec, item_vec, len(item_vec), Seen.none(len(user_vec)))
    score = np.empty(top.score.shape)
    np.put_along_axis(score, top.item_row, top.score, 1)
    return score


@needs_vnni
def test_the_bound_tells_something_of_a_head_that_learnt_nothing_odd() -> None:
    random = np.random.default_rng(0)
    for hidden, share in (((64,), 0.4), ((64, 32), 1.0), ((128, 64, 32), 9.0)):
        torch.manual_seed(0)
        head = AdditiveHead(hidden, 0).requires_grad_(False)
        user_vec, item_vec = vectors("normal", 20, hidden[0], random), vectors("normal", 2048, hidden[0], random)
        own = engine(head, item_vec, 11)
        low, high, _ = bounds_of(own, user_vec, np.zeros((20, 2048)))
        error = np.nanmedian(high - low) / 2
        assert error < share * head(user_vec, item_vec).std(1).mean().item()


@needs_vnni
def test_a_floor_that_was_too_high_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    head = head_of((8, 4), 0, "normal", random)
    user_vec, item_vec = vectors("normal", 30, 8, random), vectors("normal", 3000, 8, random)
    wanted = TileEngine(form(head), item_vec, Tile(64, 1000)).top_k(user_vec, 50, Seen.none(30))
    scanned: list[int] = []
    scan = MlpEngine._scan

    def noted(self: MlpEngine, *arguments: object) -> None:
        scanned.append(len(arguments[3]))  # type: ignore[arg-type]
        scan(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(MlpEngine, "_scan", noted)
    monkeypatch.setattr(mlp_engine, "best_of_sample", lambda _: 1)  # the best of the sample is hardly the 50th of all
    assert same(engine(head, item_vec).by_scan(user_vec, 50, Seen.none(30)), wanted)
    assert scanned[0] == 30
    assert len(scanned) == mlp_engine.STAGES[1] + 2


@needs_vnni
@pytest.mark.parametrize("hidden", [(6,), (6, 4), (6, 8, 4)])
def test_codes_that_tell_little_find_the_same_lists(hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    head = head_of(hidden, 3, "normal", random)
    user_vec, item_vec = vectors("normal", 15, 9, random), vectors("normal", 1500, 9, random)
    wanted = by_definition(head, user_vec, item_vec, 10, Seen.none(15))
    monkeypatch.setattr(folded, "LEVELS", 7)
    monkeypatch.setattr(network, "LEVELS", 5)
    monkeypatch.setattr(crowd, "ROOM", 0.3)  # most numbers of the second layer are above its codes
    assert same(engine(head, item_vec).by_scan(user_vec, 10, Seen.none(15)), wanted)


@needs_vnni
def test_where_nothing_is_certified_everybody_is_left_to_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    head = head_of((6, 4), 0, "zero", random)  # all items are equal
    user_vec, item_vec = vectors("normal", 80, 6, random), vectors("normal", 9000, 6, random)
    ranker = Ranker(head, item_vec)
    wanted = TileEngine(form(head), item_vec, Tile(64, 1000)).top_k(user_vec, 5, Seen.none(80))
    scanned: list[int] = []
    by_scan = MlpEngine.by_scan

    def noted(self: MlpEngine, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        scanned.append(len(user_vec))
        return by_scan(self, user_vec, k, seen)

    monkeypatch.setattr(MlpEngine, "by_scan", noted)
    assert all(same(ranker.top_k(user_vec, 5, Seen.none(80)), wanted) for _ in range(2))
    assert scanned == [80]  # and the second call does not try again


@needs_vnni
@pytest.mark.parametrize("users", [0, 9])
@pytest.mark.parametrize("hidden", [(6,), (6, 4), (6, 8, 4)])
def test_nobody_at_all_and_nobody_to_scan_for_are_served(hidden: tuple[int, ...], users: int) -> None:
    random = np.random.default_rng(0)
    head = head_of(hidden, 0, "zero", random)  # all items are equal: too many to hold for anybody
    user_vec, item_vec = torch.ones(users, 6), vectors("normal", 9000, 6, random)
    got = engine(head, item_vec).by_scan(user_vec, 5, Seen.none(users))
    assert got.item_row.tolist() == [[0, 1, 2, 3, 4]] * users


@needs_vnni
def test_one_item_left_is_found_and_none_left_is_an_empty_list() -> None:
    head = head_of((8, 4), 2, "normal", np.random.default_rng(0))
    item_vec = vectors("normal", 200, 10, np.random.default_rng(0))
    seen = Seen(np.array([0, 199, 399]), np.concatenate([np.delete(np.arange(200), 7), np.arange(200)]))
    got = engine(head, item_vec).by_scan(torch.ones(2, 10), 3, seen)
    assert got.item_row.tolist() == [[7, -1, -1], [-1, -1, -1]]


@needs_vnni
def test_a_layer_too_wide_for_the_proof_is_left_to_the_tiles() -> None:
    wide, narrow = AdditiveHead((8, 1025), 0), AdditiveHead((8, 1024), 0)
    assert not MlpEngine.knows(form(wide), torch.ones(1, 8))
    assert MlpEngine.knows(form(narrow), torch.ones(1, 8))
    assert isinstance(wide.tail[0], nn.Linear)


@needs_vnni
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("rounded", ["items", "user", "weights"])
def test_where_all_roundings_go_one_way_the_bound_is_reached_and_holds(rounded: str, sign: float) -> None:
    head = AdditiveHead((17,), 0).requires_grad_(False)
    weight, bias = head.parameters()
    weight.fill_(sign)
    bias.fill_(sign)
    # Codes are whole numbers, as the columns go from 0 to 255; a last one of zeros only makes weights coarse.
    weight[0, 16] = 127 / 0.49 if rounded == "weights" else 0
    codes = torch.linspace(20, 200, 62).round() + (0.499 if rounded == "items" else 0)
    item_vec = torch.cat([torch.tensor([0.0, 255.0]), codes])[:, None].repeat(1, 17)
    user_vec = torch.full((1, 17), -200.499 if rounded == "user" else 3.0)
    item_vec[:, 16] = user_vec[:, 16] = 0
    own = engine(head, item_vec)
    low, high, height = bounds_of(own, user_vec, by_all(head, user_vec, item_vec))
    off = np.abs((low + high) / 2 - height) / ((high - low) / 2)
    assert 0.95 < off.max() <= 1


@needs_vnni
@pytest.mark.parametrize("users", [20, 385])
def test_users_whose_items_all_tie_are_left_to_the_tiles_together(users: int) -> None:
    torch.manual_seed(0)
    ranker = Ranker(AdditiveHead((16,), 0), torch.randn(8000, 16))
    user_vec = torch.full((users, 16), -1000.0)  # no hidden unit lives
    user_vec[: users - users % 384] = torch.randn(users - users % 384, 16)
    got = ranker.top_k(user_vec, 10, Seen.none(users))
    assert got.item_row[-1].tolist() == list(range(10))
