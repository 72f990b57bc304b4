"""As much of the tables of items is added as makes held-out likings likeliest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rec_export.checkpoint import Blueprint, Checkpoint
from rec_export.ensemble import SideBySide, ensemble
from rec_export.report.views import Spec
from rec_export.shallow import ShallowUser
from rec_export.terms import term_names, terms
from rec_export.towers import DotHead, Inputs, Towers
from rec_export.words import several, told_by_tables
from tests.conftest import command, done
from tests.trainers.scenes import held_out, scenes
from trainers import beside
from trainers.beside import LEAST, MEAN, MOST, added, costs, learned, tables_of
from trainers.chances import Chances
from trainers.habit_term import Habits


def test_in_a_log_of_tight_scenes_it_makes_lists_much_better(tmp_path: Path) -> None:
    done("train", scenes(tmp_path, seeds=1), "--out", tmp_path / "with")
    done("train", scenes(tmp_path, seeds=1, shallow=False), "--out", tmp_path / "without")
    ndcg = {
        name: json.loads((tmp_path / name / "metrics.json").read_text())["held_out"]["model"]["ndcg@10"]
        for name in ("with", "without")
    }
    assert ndcg["with"] > ndcg["without"] + 0.1
    (found,) = Checkpoint.read(tmp_path / "with").blueprint.shallow
    assert (found.tells, found.rank, found.half) == ("together", 64, None)
    assert f"a shallow auto-encoder of rank 64, added at {found.share:.3g}" in done("inspect", tmp_path / "with")
    assert Checkpoint.read(tmp_path / "without").blueprint.shallow == ()


def test_one_of_several_models_gets_less_than_suits_it_alone(tmp_path: Path) -> None:
    made, validation = held_out(scenes(tmp_path))
    shares = []
    for seeds in (1, 3):
        plan = made.plan.model_copy(update={"seeds": seeds})
        (found,), _ = added(made.course.towers, validation, plan, made.course.held)
        shares.append(found.shallow.share)
    assert shares[1] == pytest.approx(MEAN * shares[0], rel=1e-5)


@pytest.mark.parametrize("likeliest", [0.0, 1e9])
def test_where_time_is_looked_at_each_is_added_at_a_little_at_least(
    likeliest: float, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(shop / "config.yaml")
    monkeypatch.setattr(Chances, "likeliest", lambda self: np.array([1.0, likeliest, likeliest]))
    monkeypatch.setattr(beside, "costs", lambda without, tables, bearable: False)
    timeline, items = made.dataset.timeline, made.dataset.catalogue.items.trained
    tables = [learned(one, timeline, items) for one in tables_of(timed=True)]
    with torch.no_grad():
        scores = [
            validation.scores(towers, made.course.held)(validation.user)[:, :items]
            for towers in (made.course.towers, *tables)
        ]
    model, *others = [float(score.std(1).mean()) for score in scores]
    found, _ = added(made.course.towers, validation, made.plan, made.course.held)
    assert [(one.tells, one.half) for _, one in found] == [("together", 50), ("next", 3)]
    wanted = [likeliest, MOST["next"] * model / others[1]] if likeliest else [LEAST * model / other for other in others]
    assert [one.share for _, one in found] == pytest.approx(wanted, rel=1e-4)


def test_where_time_is_not_looked_at_nothing_is_added_that_makes_nothing_likelier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(scenes(tmp_path))
    monkeypatch.setattr(Chances, "likeliest", lambda self: np.array([1.0, 0.0]))
    found, metrics = added(made.course.towers, validation, made.plan, made.course.held)
    assert (found, metrics) == ([], validation.measure(made.course.towers, made.course.held))


@pytest.mark.parametrize(("dear", "kept"), [(0, ["together", "next"]), (1, ["together"]), (2, [])])
def test_what_costs_too_much_is_left_out_the_last_one_first(
    dear: int, kept: list[str], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(shop / "config.yaml")
    answers = iter([True] * dear + [False])
    monkeypatch.setattr(beside, "costs", lambda without, tables, bearable: next(answers))
    linears, metrics = added(made.course.towers, validation, made.plan, made.course.held)
    assert [one.tells for _, one in linears] == kept
    assert metrics == validation.measure(ensemble([made.course.towers], None, linears), made.course.held)


@pytest.mark.parametrize(
    ("users", "loss", "spread", "dear"),
    [
        (1000, 0.001, 0.02, False),  # of a metric of .1: 1 in 100
        (1000, 0.004, 0.02, True),  # 4 in 100, and an error of .6
        (60, 0.003, 0.02, False),  # 3 in 100, and an error of 2.6
        (60, 0.004, 0.02, True),
        (1000, -0.004, 0.02, False),
    ],
)
def test_a_loss_is_borne_that_is_small_or_not_sure(users: int, loss: float, spread: float, dear: bool) -> None:
    away = np.resize([spread, -spread], users)
    without = np.full(users, 0.1)
    assert costs(without, without - loss + away, 0.01) == dear


def test_habits_are_fitted_to_scores_that_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Towers] = []

    def habits_of(towers: Towers, *rest: object) -> Habits:
        asked.append(towers)
        return Habits()

    monkeypatch.setattr("trainers.fit.habits_of", habits_of)
    done("train", scenes(tmp_path), "--out", tmp_path / "out", "--set", "score.seen=keep")
    (towers,) = asked
    (shallow,) = Checkpoint.read(tmp_path / "out").blueprint.shallow
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
    assert Checkpoint.read(tmp_path / "out").blueprint.shallow == ()


def test_what_tables_tell_are_terms_of_the_score_of_their_own(trained: Path) -> None:
    checkpoint = Checkpoint.read(trained)
    spec, sizes = checkpoint.blueprint.spec(), checkpoint.blueprint.sizes
    assert [one.tells for one in checkpoint.blueprint.shallow] == ["together", "next"]
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
    for name, columns in (("together", slice(-128, -64)), ("next", slice(-64, None))):
        np.testing.assert_allclose(told[:, names.index(name)], item_vec[:, columns] @ user_vec[columns])
        assert told[:, names.index(name)].std() > 0


@pytest.mark.parametrize(("told", "tells"), [(None, []), ({"rank": 4, "half": 9.0, "share": 2.0}, ["together"])])
def test_a_checkpoint_of_a_version_that_knew_one_table_or_none_is_read(
    told: dict[str, float] | None, tells: list[str], trained: Path
) -> None:
    blueprint = json.loads((trained / "spec.json").read_text()) | {"shallow": told}
    assert [one.tells for one in Blueprint.model_validate(blueprint).shallow] == tells
    assert [term for term, _ in told_by_tables(several(told))] == ["what goes with what"] * len(tells)
    assert len(Spec.model_validate(blueprint).shallow) == len(tells)
