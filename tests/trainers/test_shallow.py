"""A shallow auto-encoder is found in closed form, and as much of it is added as makes held-out likings likeliest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from rec_export.checkpoint import Checkpoint
from rec_export.data.log import Log
from rec_export.ensemble import SideBySide
from rec_export.metrics import Float64
from rec_export.shallow import Shallow, ShallowUser
from rec_export.terms import TOGETHER, term_names, terms
from rec_export.towers import DotHead, Inputs, Towers
from rec_export.world import Timeline
from tests.conftest import command, done
from tests.trainers.scenes import held_out, scenes
from trainers.chances import Chances
from trainers.habit_term import Habits
from trainers.shallow import LEAST, MEAN, RIDGE, added, directions, learned
from trainers.validation import ListValidation

USERS, ITEMS = 60, 12


def liked() -> Float64:
    """Who liked what, 0 or 1, float64 [USERS, ITEMS]; the last user liked nothing."""
    found = (np.random.default_rng(0).random((USERS, ITEMS)) < 0.4).astype(np.float64)
    found[-1] = 0
    return found


def timeline() -> Timeline:
    """The same as a log without time, of a catalogue that has two more items."""
    user, item = np.nonzero(liked())
    log = Log(user.astype(np.int32), item.astype(np.int32), None, None, np.ones(len(user), bool))
    return Timeline.of(log, USERS, ITEMS + 2)


def weights(rank: int) -> Float64:
    """What the tables say of each two items, float64 [ITEMS, ITEMS]."""
    user, item, _ = learned(Shallow(rank=rank, share=1.0), timeline(), ITEMS)
    reads, says = user.get_buffer("reads").double(), item.get_buffer("says").double()
    assert (len(reads), len(says)) == (ITEMS + 1, ITEMS + 1)
    assert not reads[-1].any()
    assert not says[-1].any()
    found: Float64 = (reads[:-1] @ says[:-1].T).numpy()
    return found


def test_of_full_rank_it_is_ease() -> None:
    precision = np.linalg.inv(liked().T @ liked() + RIDGE * np.eye(ITEMS))  # Steck 2019, equation 8
    ease = -precision / np.diag(precision)
    between = ~np.eye(ITEMS, dtype=bool)
    np.testing.assert_allclose(weights(ITEMS)[between], ease[between], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights(ITEMS + 9)[between], ease[between], rtol=1e-4, atol=1e-6)


def test_of_a_lower_rank_it_keeps_the_largest_directions() -> None:
    size, along = np.linalg.eigh(liked().T @ liked())
    kept = (along[:, -4:] * (size[-4:] / (size[-4:] + RIDGE))) @ along[:, -4:].T
    np.testing.assert_allclose(weights(4), kept / (1 - np.diag(kept)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("users", "items"), [(500, 90), (90, 500), (6, 500), (500, 6)])
def test_users_who_like_the_same_have_few_directions_and_no_other_is_made_up(users: int, items: int) -> None:
    who = np.zeros((users, items), np.float32)
    who[:, :3] = 1
    who[::2, 3:5] = 1
    size, across = directions(csr_matrix(who), 64)
    kept = (across.T * size**2) @ across  # X'X again
    np.testing.assert_allclose(kept, who.T @ who, atol=2e-3 * users)
    assert len(size) == min(64, users, items)


def test_in_a_log_of_tight_scenes_it_makes_lists_much_better(tmp_path: Path) -> None:
    done("train", scenes(tmp_path, seeds=1), "--out", tmp_path / "with")
    done("train", scenes(tmp_path, seeds=1, shallow=False), "--out", tmp_path / "without")
    ndcg = {
        name: json.loads((tmp_path / name / "metrics.json").read_text())["held_out"]["model"]["ndcg@10"]
        for name in ("with", "without")
    }
    assert ndcg["with"] > ndcg["without"] + 0.1
    found = Checkpoint.read(tmp_path / "with").blueprint.shallow
    assert found is not None
    assert (found.rank, found.half) == (64, None)
    assert f"a shallow auto-encoder of rank 64, added at {found.share:.3g}" in done("inspect", tmp_path / "with")
    assert Checkpoint.read(tmp_path / "without").blueprint.shallow is None


def test_one_of_several_models_gets_less_than_suits_it_alone(tmp_path: Path) -> None:
    made, validation = held_out(scenes(tmp_path))
    shares = []
    for seeds in (1, 3):
        plan = made.plan.model_copy(update={"seeds": seeds})
        found, _ = added(made.course.towers, validation, plan, made.course.held)
        assert found is not None
        shares.append(found.shallow.share)
    assert shares[1] == pytest.approx(MEAN * shares[0], rel=1e-5)


@pytest.mark.parametrize(("likeliest", "times"), [(0.0, 1.0), (1e9, None)])
def test_where_time_is_looked_at_it_is_added_at_a_little_at_least(
    likeliest: float, times: float | None, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(shop / "config.yaml")
    monkeypatch.setattr(Chances, "likeliest", lambda self: (1.0, likeliest))
    monkeypatch.setattr(ListValidation, "measure", lambda *rest: {"ndcg@10": 0.1})
    tables = learned(
        Shallow(rank=64, half=50.0, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained
    )
    with torch.no_grad():
        scores = [
            validation.scores(towers, made.course.held)(validation.user) for towers in (made.course.towers, tables)
        ]
    spread = [float(score.std(1).mean()) for score in scores]
    found, _ = added(made.course.towers, validation, made.plan, made.course.held)
    assert found is not None
    assert found.shallow.half == 50
    wanted = 1e9 if times is None else times * LEAST * spread[0] / spread[1]
    assert found.shallow.share == pytest.approx(wanted, rel=1e-4)


def test_where_time_is_not_looked_at_nothing_is_added_that_makes_nothing_likelier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(scenes(tmp_path))
    monkeypatch.setattr(Chances, "likeliest", lambda self: (1.0, 0.0))
    found, metrics = added(made.course.towers, validation, made.plan, made.course.held)
    assert (found, metrics) == (None, validation.measure(made.course.towers, made.course.held))


@pytest.mark.parametrize(("ndcg", "kept"), [(0.091, True), (0.089, False)])
def test_it_is_left_out_where_it_costs_more_than_a_tenth(
    ndcg: float, kept: bool, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(shop / "config.yaml")
    answers = iter([0.1, ndcg])
    monkeypatch.setattr(ListValidation, "measure", lambda *rest: {"ndcg@10": next(answers)})
    found, metrics = added(made.course.towers, validation, made.plan, made.course.held)
    assert (found is not None, metrics["ndcg@10"]) == (kept, ndcg if kept else 0.1)


def test_of_many_users_some_tell_what_goes_with_what(monkeypatch: pytest.MonkeyPatch) -> None:
    all_tell = weights(4)
    monkeypatch.setattr("trainers.shallow.PEERS", 40)
    peers = np.random.default_rng(0).permutation(np.flatnonzero(liked().any(1)))[:40]
    few = liked()[peers]
    size, along = np.linalg.eigh(few.T @ few)
    kept = (along[:, -4:] * (size[-4:] / (size[-4:] + RIDGE))) @ along[:, -4:].T
    np.testing.assert_allclose(weights(4), kept / (1 - np.diag(kept)), rtol=1e-3, atol=1e-5)
    assert not np.allclose(weights(4), all_tell, rtol=1e-2)


def test_habits_are_fitted_to_scores_that_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Towers] = []

    def habits_of(towers: Towers, *rest: object) -> Habits:
        asked.append(towers)
        return Habits()

    monkeypatch.setattr("trainers.fit.habits_of", habits_of)
    done("train", scenes(tmp_path), "--out", tmp_path / "out", "--set", "score.seen=keep")
    (towers,) = asked
    shallow = Checkpoint.read(tmp_path / "out").blueprint.shallow
    assert shallow is not None
    assert isinstance(towers.user_tower, SideBySide)
    assert isinstance(towers.user_tower.members[-1], ShallowUser)
    assert towers.user_tower.shares[-1] == pytest.approx(shallow.share**0.5)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (("model.hidden=[8]",), "the model's head is no dot product"),
        (("data.split={by: random, valid: 0}",), "no held-out liking tells how much of it"),
    ],
)
def test_where_it_cannot_be_added_a_line_says_so(changes: tuple[str, ...], why: str, tmp_path: Path) -> None:
    words = [word for change in changes for word in ("--set", change)]
    answer = command("train", scenes(tmp_path, epochs=1), "--out", tmp_path / "out", *words)
    assert answer.code == 0
    assert f"no shallow auto-encoder is added (training.shallow): {why}\n" in answer.err
    assert Checkpoint.read(tmp_path / "out").blueprint.shallow is None


def test_what_it_says_is_a_term_of_the_score_of_its_own(trained: Path) -> None:
    checkpoint = Checkpoint.read(trained)
    spec, sizes = checkpoint.blueprint.spec(), checkpoint.blueprint.sizes
    assert checkpoint.blueprint.shallow is not None
    axes = {"B": 1, "N": sizes.items.rows, "L": 3, "T": 2}

    def inputs(ports: tuple[Any, ...]) -> Inputs:
        return {port.name: port.zeros(axes) for port in ports}

    user, item = inputs(spec.user_inputs(sizes)), inputs(spec.item_inputs(sizes))
    user["history"], user["history_length"] = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    item["row"] = torch.arange(sizes.items.rows)
    with torch.no_grad():
        user_vec = checkpoint.towers.user_tower(user)[0].double().numpy()
        item_vec = checkpoint.towers.item_tower(item).double().numpy()
    score = item_vec @ user_vec
    told = terms(checkpoint.blueprint, DotHead(), user_vec, item_vec, score)
    names = term_names(checkpoint.blueprint, DotHead())
    np.testing.assert_allclose(told.sum(1), score, rtol=0, atol=1e-12)
    rank = checkpoint.blueprint.shallow.rank
    np.testing.assert_allclose(told[:, names.index(TOGETHER)], item_vec[:, -rank:] @ user_vec[-rank:])
    assert told[:, names.index(TOGETHER)].std() > 0
