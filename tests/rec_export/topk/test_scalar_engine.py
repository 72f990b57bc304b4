"""g(<u, v>): whichever way g goes, the lists are those of the definition, bit for bit."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rec_export.topk import Ranker, Seen, TopK, scalar_engine
from rec_export.topk.reference import by_definition
from rec_export.topk.tiles import Tile, TileEngine
from rec_export.towers import ScalarHead
from tests.rec_export.topk.test_dot_engine import KINDS, SCALES, seen_of, vectors
from tests.rec_export.topk.worlds import same


def sum_of_hinges(slope: list[float], shift: list[float], last: list[float], plus: float) -> ScalarHead:
    """g(s) = sum last relu(slope s + shift) + plus."""
    module = ScalarHead((len(slope),))
    layer = module.tail[0]
    with torch.no_grad():
        module.first.weight[:, 0], module.first.bias[:] = torch.tensor(slope), torch.tensor(shift)
        layer.weight[0], layer.bias[:] = torch.tensor(last), plus  # type: ignore[operator]
    return module


def head(shape: str, seed: int = 0) -> ScalarHead:
    """g of a shape: some are sums of hinges."""
    torch.manual_seed(seed)
    hinges = {
        "rising": ([1.0, -1.0, 1.0], [0.0, 0.0, -1.0], [0.5, -0.25, 1.0]),
        "falling": ([1.0, -1.0, 1.0], [0.0, 0.0, -1.0], [-0.5, 0.25, -1.0]),
        "valley": ([1.0, -1.0], [0.0, 0.0], [1.0, 0.75]),
        "summit": ([1.0, -1.0], [0.0, 0.0], [-0.75, -1.0]),
        "flat below": ([1.0], [-0.5], [1.0]),
        "flat above": ([-1.0], [0.5], [-1.0]),
        "flat": ([1.0], [0.0], [0.0]),
    }
    if shape not in hinges:
        return ScalarHead((6, 4))
    return sum_of_hinges(*hinges[shape], 0.1)


SHAPES = ("rising", "falling", "valley", "summit", "flat below", "flat above", "flat", "any")


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    kind=st.sampled_from(KINDS),
    scale=st.sampled_from(SCALES),
    users=st.integers(1, 7),
    items=st.integers(1, 150),
    k=st.sampled_from((1, 2, 10, 60, 200)),
    share=st.sampled_from((0.0, 0.1, 1.0, 5.0)),
    tile=st.builds(Tile, st.integers(1, 6), st.integers(1, 80)),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_the_definition(
    shape: str, kind: str, scale: float, users: int, items: int, k: int, share: float, tile: Tile, seed: int
) -> None:
    random, module = np.random.default_rng(seed), head(shape, seed)
    user_vec, item_vec = vectors(kind, users, 6, random), vectors(kind, items, 6, random) * scale
    seen = seen_of(users, items, share, random)
    got = Ranker(module, item_vec, tile=tile).top_k(user_vec, k, seen)
    assert same(got, by_definition(module, user_vec, item_vec, k, seen))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_scores_beyond_float32_lose_no_item(sign: float) -> None:
    module = sum_of_hinges([1e20, -1e20], [0.0, 0.0], [sign * 1e20, sign * 1e20], 0.0)  # sign 1e40 |s|
    random = np.random.default_rng(0)
    user_vec, item_vec = vectors("normal", 40, 16, random), vectors("normal", 40, 16, random)
    got = Ranker(module, item_vec).top_k(user_vec, 5, Seen.none(40))
    assert same(got, by_definition(module, user_vec, item_vec, 5, Seen.none(40)))


def test_scores_that_pass_the_end_of_float32_within_a_rounding_lose_no_item() -> None:
    module = sum_of_hinges([1e19, -1e19, 0.0], [0.0, 0.0, 1e19], [-1e20, -1e20, 1e19], 3.402e38)  # 4.402e38 - 1e39 |s|
    torch.manual_seed(0)
    user_vec, item_vec = 1000 * torch.randn(8, 64), 1000 * torch.randn(3000, 64)
    item_vec -= (item_vec @ user_vec.T) @ torch.linalg.solve(user_vec @ user_vec.T, user_vec)  # s is what rounding left
    got = Ranker(module, item_vec).top_k(user_vec, 5, Seen.none(8))
    assert same(got, by_definition(module, user_vec, item_vec, 5, Seen.none(8)))


@pytest.mark.parametrize("shape", SHAPES)
def test_is_the_definition_where_integers_find_the_dot_products(shape: str, threads: Callable[[int], None]) -> None:
    threads(2)
    random, module = np.random.default_rng(0), head(shape)
    user_vec, item_vec = vectors("normal", 130, 16, random), vectors("skewed", 1200, 16, random)
    seen = seen_of(130, 1200, 0.02, random)
    got, few = Ranker(module, item_vec).top_k(user_vec, 5, seen), np.arange(0, 130, 13)
    wanted = by_definition(module, user_vec[torch.from_numpy(few)], item_vec, 5, seen.take(few))
    assert same(TopK(got.item_row[few], got.score[few], got.count[few]), wanted)


def how(shape: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], int]:
    """Which ends were fetched for 40 users, and how many users were left to the tiles."""
    ends: list[str] = []
    left: list[int] = []
    fetched = scalar_engine.ScalarEngine._fetched
    random, module = np.random.default_rng(0), head(shape)
    user_vec, item_vec = (torch.from_numpy(random.standard_normal((n, 8)).astype(np.float32)) for n in (40, 3000))
    ranker = Ranker(module, item_vec)

    def noted(self: object, user_vec: Tensor, k: int, seen: Seen, reach: Tensor, falls: bool) -> object:
        ends.append("smallest" if falls else "largest")
        return fetched(self, user_vec, k, seen, reach, falls)  # type: ignore[arg-type]

    def last_resort(*made_of: Any) -> object:
        def counted(user_vec: Tensor, k: int, seen: Seen) -> object:
            left.append(len(user_vec))
            return TileEngine(*made_of).top_k(user_vec, k, seen)

        return SimpleNamespace(top_k=counted)

    monkeypatch.setattr(scalar_engine.ScalarEngine, "_fetched", noted)
    monkeypatch.setattr(scalar_engine, "TileEngine", last_resort)
    ranker.top_k(user_vec, 10, Seen.none(40))
    return ends, sum(left)


@pytest.mark.parametrize(
    ("shape", "ends", "left"),
    [
        ("rising", ["largest"], 0),
        ("falling", ["smallest"], 0),
        ("valley", ["largest", "smallest"], 0),
        ("summit", ["largest", "smallest"], 40),
        ("flat", ["largest", "smallest"], 40),
    ],
)
def test_dot_products_decide_where_g_lets_them(
    shape: str, ends: list[str], left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert how(shape, monkeypatch) == (ends, left)


@pytest.mark.parametrize("shape", SHAPES)
def test_overflow_of_float32_loses_no_item(shape: str) -> None:
    """The float32 products are inf, -inf, NaN, and a few that are sound; float64 knows them all."""
    module = head(shape)
    item_vec = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [0.5, 1.0], [1e-30, 0.0]]).repeat(6, 1) * 1e30
    user_vec = torch.tensor([[1e30, 1e30], [-1e30, 1e30]])
    for k in (1, 4, 30):
        got = Ranker(module, item_vec).top_k(user_vec, k, Seen.none(2))
        assert same(got, by_definition(module, user_vec, item_vec, k, Seen.none(2)))
