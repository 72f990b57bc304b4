"""Each model's vectors are as wide as the components that it names, and the terms of every head add up to its score."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rec_export.checkpoint import Blueprint
from rec_export.config import Scoring
from rec_export.data.clock import Clock
from rec_export.data.config import DataConfig, Interactions
from rec_export.terms import MATCH, MLP, gate_shares, gates_of, term_names, terms
from rec_export.towers import AdditiveHead, Dense, DotHead, Inputs, Sizes, TableSizes

SIZES = Sizes(
    users=TableSizes(rows=5), items=TableSizes(rows=9, dense=(Dense(median=0, mean=0, std=1),)), context=8, trend=5,
    counts=3, ordered=True,
)  # fmt: skip
NAMES = {
    "hybrid": ("taste", "item", "trend"),
    "gated": ("long", "recent", "content", "trend", "item"),
    "pmf": ("factors", "user", "item"),
    "bpr": ("factors", "item"),
    "als": (MATCH,),
    "popular": (MATCH,),
    "ncf": (MLP, MATCH),
    "music": (MLP,),
}


def blueprint_of(model: str, **numbers: object) -> Blueprint:
    """A blueprint of a model over made-up tables."""
    return Blueprint(
        model={"name": model, **numbers}, sizes=SIZES, data=DataConfig(interactions=Interactions(path=Path("x"))),
        clock=Clock(half_lives=(1.0, 7.0)), recent=0, score=Scoring(), inputs={}, weights="", tables={},
    )  # fmt: skip


def inputs_of(ports: tuple[object, ...], rows: int) -> Inputs:
    """Zeros for every input of a tower."""
    letters = {"B": rows, "N": rows, "L": 3, "T": 1}
    return {port.name: port.zeros(letters) for port in ports}  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", NAMES)
def test_the_terms_of_every_model_add_up_to_its_score(model: str) -> None:
    blueprint = blueprint_of(model)
    towers, spec = blueprint.build(), blueprint.spec()
    with torch.inference_mode():
        user_vec = towers.user_tower.eval()(inputs_of(spec.user_inputs(SIZES), 1))
        item_vec = towers.item_tower.eval()(inputs_of(spec.item_inputs(SIZES), 4))
        score = towers.pair_head.eval()(user_vec, item_vec)[0].double().numpy()
    head = towers.pair_head
    found = terms(blueprint, head, user_vec[0].double().numpy(), item_vec.double().numpy(), score)
    assert term_names(blueprint, head) == NAMES[model]
    assert found.shape == (4, len(NAMES[model]))
    np.testing.assert_allclose(found.sum(1), score, atol=1e-6)


def test_a_component_is_the_product_of_its_own_places() -> None:
    blueprint = blueprint_of("pmf", dim=2)
    user_vec, item_vec = np.array([1.0, 2.0, 0.5, 1.0]), np.array([[3.0, 4.0, 1.0, 0.25]])
    found = terms(blueprint, DotHead(), user_vec, item_vec, np.array([11.75]))
    np.testing.assert_allclose(found, [[11.0, 0.5, 0.25]])


def test_an_mlp_beside_a_dot_product_is_what_is_left() -> None:
    blueprint = blueprint_of("hybrid", dim=2, hidden=(3,), trends=1)
    width = sum(blueprint.spec().components(SIZES).values())
    head = AdditiveHead((3,), width).eval()
    torch.manual_seed(0)
    user_vec, item_vec = torch.randn(1, 3 + width), torch.randn(2, 3 + width)
    with torch.inference_mode():
        score = head(user_vec, item_vec)[0].double().numpy()
        alone = torch.relu(user_vec[:, :3] + item_vec[:, :3]) @ head.tail[0].weight.T + head.tail[0].bias  # type: ignore[operator]
    found = terms(blueprint, head, user_vec[0].double().numpy(), item_vec.double().numpy(), score)
    assert term_names(blueprint, head) == (MLP, "taste", "item", "trend")
    np.testing.assert_allclose(found[:, 0], alone[:, 0].double().numpy(), atol=1e-5)


def test_a_gate_tells_its_shares_and_other_models_have_none(
    tmp_path: Path, write: Callable[[Blueprint], Blueprint]
) -> None:
    blueprint = write(blueprint_of("gated"))
    shares = gate_shares(tmp_path, blueprint, inputs_of(blueprint.spec().user_inputs(SIZES), 1))
    assert list(shares) == ["long", "recent", "content", "trend"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
    assert len(gates_of(blueprint.build().user_tower)) == 1
    assert gate_shares(tmp_path / "not looked at", blueprint_of("hybrid"), {}) == {}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Blueprint], Blueprint]:
    """Write random weights of a blueprint below tmp_path."""
    from rec_export.checkpoint import write_weights

    def written(blueprint: Blueprint) -> Blueprint:
        return blueprint.model_copy(
            update={"weights": write_weights(blueprint.build(), tmp_path / "weights.safetensors")}
        )

    return written
