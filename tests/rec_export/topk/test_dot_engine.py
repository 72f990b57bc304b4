"""8-bit integers find the candidates: whatever they lose, the lists are those of the definition, bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rec_export.topk import Ranker, Seen, TopK, dot_engine, quantise, vnni
from rec_export.topk.dot_engine import DotEngine
from rec_export.topk.form import Form, form_of
from rec_export.topk.reference import by_definition
from rec_export.topk.scan import scan
from rec_export.topk.tiles import Tile, TileEngine
from rec_export.towers import DotHead
from tests.rec_export.topk.worlds import same

needs_vnni = pytest.mark.skipif(not vnni.available(), reason="a processor without AVX-512 VNNI: the tiles do the work")
KINDS = ("normal", "grid", "tied", "skewed", "biased", "cancelling", "units")
SCALES = (1.0, 1e3, 1e-6, 1e-25, 1e-42, 1e25)


def vectors(kind: str, rows: int, width: int, random: np.random.Generator) -> Tensor:
    """float32 [rows, width]; whatever the kind, some rows are zero and some are copies of others."""
    vec = random.standard_normal((rows, width))
    if kind == "grid":
        vec = random.integers(-2, 3, (rows, width)).astype(np.float64)
    if kind == "tied":
        vec[:] = vec[0]
    if kind == "skewed":
        vec *= np.exp(2 * random.standard_normal((rows, 1)))
    if kind == "biased":  # the other side's bias, and one's own, large beside the factors
        vec[:, 0], vec[:, -1] = 1, 1e3 * vec[:, -1]
    if kind == "cancelling":
        vec[:, 0] *= 2.0**22
        vec[:, -1] = vec[:, 0]
    if kind == "units":
        vec *= 10.0 ** random.integers(-6, 7, width)
    if kind != "tied":
        vec[random.random(rows) < 0.1] = 0
        copied = np.flatnonzero(random.random(rows) < 0.2)
        vec[copied] = vec[random.integers(0, rows, len(copied))]
    return torch.from_numpy(vec.astype(np.float32))


def seen_of(users: int, items: int, share: float, random: np.random.Generator) -> Seen:
    """Each user has seen so large a share of the catalogue, some items of it twice."""
    lists = [random.integers(0, items, int(share * items)) for _ in range(users)]
    return Seen(np.cumsum([0, *map(len, lists)]), np.concatenate(lists))


def engine(item_vec: Tensor, bits: int = 6) -> DotEngine:
    """The engine, whether it pays or not."""
    tiles = tiles_of(item_vec, Tile(64, 1000))
    return DotEngine(form_of_dots(item_vec), item_vec, tiles, bits)


def tiles_of(item_vec: Tensor, tile: Tile) -> TileEngine:
    """What serves whom the engine does not."""
    return TileEngine(form_of_dots(item_vec), item_vec, tile)


def form_of_dots(item_vec: Tensor) -> Form:
    """Of dot products as wide as the items."""
    form = form_of(DotHead(), item_vec.shape[1])
    assert form is not None
    return form


@needs_vnni
@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    scale=st.sampled_from(SCALES),
    users=st.integers(1, 9),
    items=st.integers(1, 200),
    width=st.integers(1, 20),
    k=st.sampled_from((1, 2, 10, 60, 400)),
    share=st.sampled_from((0.0, 0.1, 1.0, 5.0)),
    bits=st.integers(6, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_the_definition(
    kind: str, scale: float, users: int, items: int, width: int, k: int, share: float, bits: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    user_vec, item_vec = vectors(kind, users, width, random), vectors(kind, items, width, random) * scale
    if kind == "cancelling":
        user_vec[:, -1] = -user_vec[:, 0]
    seen = seen_of(users, items, share, random)
    got = engine(item_vec, bits).by_scan(user_vec, k, seen)
    assert same(got, by_definition(DotHead(), user_vec, item_vec, k, seen))


@needs_vnni
@pytest.mark.parametrize("kind", KINDS)
def test_bits_depend_on_neither_tile_nor_batch_nor_threads_nor_engine(
    kind: str, threads: Callable[[int], None]
) -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = vectors(kind, 30, 33, random), vectors(kind, 3000, 33, random)
    seen = seen_of(30, 3000, 0.02, random)
    tiles = tiles_of(item_vec, Tile(64, 1000)).top_k(user_vec, 20, seen)
    for number, bits, step in ((1, 9, 30), (2, 6, 7), (5, 7, 30)):
        threads(number)
        own = engine(item_vec, bits)
        users = [np.arange(first, min(first + step, 30)) for first in range(0, 30, step)]
        parts = [own.by_scan(user_vec[user], 20, seen.take(user)) for user in users]
        assert same(TopK(*(np.concatenate(part) for part in zip(*parts, strict=True))), tiles)


@needs_vnni
def test_one_item_left_is_found_and_none_left_is_an_empty_list() -> None:
    item_vec = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    seen = Seen(np.array([0, 199, 399]), np.concatenate([np.delete(np.arange(200), 7), np.arange(200)]))
    got = engine(item_vec).by_scan(torch.ones(2, 8), 3, seen)
    assert got.item_row.tolist() == [[7, -1, -1], [-1, -1, -1]]
    assert got.count.tolist() == [1, 0]


@needs_vnni
def test_nobody_gets_no_lists() -> None:
    got = engine(torch.ones(80, 3)).by_scan(torch.ones(0, 3), 4, Seen.none(0))
    assert (got.item_row.shape, got.count.shape) == ((0, 4), (0,))


@needs_vnni
def test_memory_layout_does_not_matter() -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = vectors("normal", 6, 9, random), vectors("normal", 100, 9, random)
    wanted = by_definition(DotHead(), user_vec, item_vec, 5, Seen.none(6))
    every_second = user_vec.repeat_interleave(2, 0)[::2]
    assert same(engine(item_vec).by_scan(every_second, 5, Seen.none(6)), wanted)
    assert same(engine(item_vec).by_scan(user_vec.T.contiguous().T, 5, Seen.none(6)), wanted)


@needs_vnni
def test_a_floor_that_was_too_high_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = vectors("skewed", 40, 16, random), vectors("skewed", 2000, 16, random)
    seen = seen_of(40, 2000, 0.05, random)
    wanted = engine(item_vec).by_scan(user_vec, 50, seen)
    scanned: list[int] = []

    def noted(*arguments: Any) -> None:
        scanned.append(len(arguments[4]))
        scan(*arguments)

    monkeypatch.setattr(dot_engine, "scan", noted)
    monkeypatch.setattr(dot_engine, "best_of_sample", lambda _: 1)  # the best of the sample is hardly the 50th of all
    assert same(engine(item_vec).by_scan(user_vec, 50, seen), wanted)
    assert len(scanned) == 4
    assert scanned[2] > 20


@needs_vnni
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_codes_that_tell_little_find_the_same_lists(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(levels)
    user_vec, item_vec = vectors("normal", 20, 8, random), vectors("normal", 1500, 8, random)
    seen = seen_of(20, 1500, 0.05, random)
    wanted = by_definition(DotHead(), user_vec, item_vec, 10, seen)
    monkeypatch.setattr(quantise, "LEVELS", levels)
    assert same(engine(item_vec).by_scan(user_vec, 10, seen), wanted)


@needs_vnni
def test_who_has_too_many_candidates_is_left_to_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = vectors("normal", 12, 8, random), vectors("normal", 3000, 8, random)
    user_vec[[3, 8]] = 0  # to whom all items are equal
    wanted = tiles_of(item_vec, Tile(64, 1000)).top_k(user_vec, 10, Seen.none(12))
    left: list[int] = []
    top_k = TileEngine.top_k

    def noted(self: TileEngine, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        left.append(len(user_vec))
        return top_k(self, user_vec, k, seen)

    monkeypatch.setattr(TileEngine, "top_k", noted)
    assert same(engine(item_vec).by_scan(user_vec, 10, Seen.none(12)), wanted)
    assert left == [int((user_vec == 0).all(1).sum())]


@needs_vnni
def test_who_has_seen_a_thousand_items_all_the_best_is_not_left_to_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = (
        torch.tensor(random.normal(size=(20, 64)), dtype=torch.float32),
        vectors("normal", 60_000, 64, random),
    )
    best = torch.topk(user_vec @ item_vec.T, 1000).indices.numpy().astype(np.int64)
    seen = Seen(np.arange(21) * 1000, best.reshape(-1))
    wanted = tiles_of(item_vec, Tile(64, 10_000)).top_k(user_vec, 20, seen)
    monkeypatch.setattr(TileEngine, "top_k", None)
    assert same(engine(item_vec).by_scan(user_vec, 20, seen), wanted)


@pytest.mark.parametrize("able", [pytest.param(True, marks=needs_vnni), False])
def test_scans_for_many_users_of_many_items_on_a_processor_that_can(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = vectors("normal", 200, 8, random), vectors("normal", 2000, 8, random)
    scanned: list[tuple[int, int]] = []
    by_scan = DotEngine.by_scan

    def noted(self: DotEngine, user_vec: Tensor, k: int, seen: Seen) -> TopK:
        scanned.append((len(user_vec), k))
        return by_scan(self, user_vec, k, seen)

    monkeypatch.setattr(DotEngine, "by_scan", noted)
    monkeypatch.setattr(vnni, "available", lambda: able)
    ranker, few = Ranker(DotHead(), item_vec), Ranker(DotHead(), item_vec[:500])
    for users, k in ((20, 10), (200, 10), (20, 10), (200, 200)):
        ranker.top_k(user_vec[:users], k, Seen.none(users))
    few.top_k(user_vec, 10, Seen.none(200))
    # Not for a few users alone; but for those who come after many, as then the panels are there.
    assert scanned == ([(200, 10), (20, 10)] if able else [])
