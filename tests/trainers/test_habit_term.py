"""The numbers of a habit's term are those by which users chose."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar

from rec_export.data.clock import Clock
from rec_export.data.log import Log
from rec_export.habit import Again, Habit
from rec_export.topk import Seen
from rec_export.towers import Towers
from rec_export.world import Timeline
from tests.conftest import command, config_file, done
from trainers import chances, fit
from trainers.batches import Device
from trainers.chances import Chances
from trainers.habit_term import Habits, by_habit, habits_of, likeliest, told_of
from trainers.job import Outcome
from trainers.validation import ListValidation

USERS, ITEMS, OWN = 4000, 200, 25
TRUTH = Habit(met=1.5, often=0.8, lately=0.4)
NEAR = {"met": 0.45, "often": 0.2, "lately": 0.1}  # about three standard errors of so many choices
DAY = 86_400


def choices_of(scale: float, timed: bool = True, unit: float = 1.0) -> Chances:
    """Of users who choose once each, by a softmax of `scale` times the model's scores, and TRUTH."""
    rng = np.random.default_rng(5)
    model = rng.normal(0, 1.5, (USERS, ITEMS))
    item = np.sort(rng.permuted(np.tile(np.arange(ITEMS), (USERS, 1)), axis=1)[:, :OWN], axis=1)
    days = rng.exponential(60, item.size) if timed else np.zeros(item.size)
    again = Again(Seen(np.arange(USERS + 1) * OWN, item.ravel()), rng.integers(1, 9, item.size), days)
    value = scale * model
    value[again.items.user(), again.items.item_row] += TRUTH.term(again)
    chosen = np.argmax(value + rng.gumbel(size=value.shape), axis=1)
    score = torch.from_numpy(unit * model)[None]
    return Chances.of_some(score, Seen.none(USERS), (np.arange(USERS), chosen), told_of(again))


@pytest.mark.parametrize(("scale", "unit"), [(1.0, 1.0), (0.6, 500.0), (0.6, 1e-3)])
def test_the_numbers_are_found_in_the_units_of_the_scores(scale: float, unit: float) -> None:
    found = likeliest(choices_of(scale, unit=unit))
    for name, error in NEAR.items():
        assert getattr(found, name) * scale / unit == pytest.approx(getattr(TRUTH, name), abs=error), name


def test_the_loss_is_the_mean_surprise_of_a_softmax_over_all_items() -> None:
    rng = np.random.default_rng(2)
    users, items, scale, numbers = 5, 12, 0.7, np.array([0.5, 1.1, 0.3])
    model, own = rng.normal(size=(users, items)), rng.random((users, items)) < 0.3
    owner, row = np.nonzero(own)
    again = Again(Seen.of(owner, row, users), rng.integers(1, 9, len(row)), rng.exponential(30, len(row)))
    value = scale * model
    value[owner, row] += Habit(met=numbers[0], often=numbers[1], lately=numbers[2]).term(again)
    surprise = np.log(np.exp(value).sum(1))[:, None] - value
    who, what = np.nonzero(rng.random((users, items)) < 0.4)
    wanted = np.mean([surprise[user, what[who == user]].mean() for user in range(users)])
    choices = Chances.of_some(torch.from_numpy(model)[None], Seen.none(users), (who, what), told_of(again))
    assert choices.loss(torch.tensor([scale, *numbers])).item() == pytest.approx(wanted, rel=1e-6)


def test_a_log_without_time_has_no_term_for_the_days() -> None:
    found = likeliest(choices_of(1.0, timed=False))
    assert found.met == pytest.approx(TRUTH.met, abs=NEAR["met"])
    assert found.often == pytest.approx(TRUTH.often, abs=NEAR["often"])
    assert found.lately == 0


def test_a_sample_stands_for_the_many_items_that_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chances, "BEST", 20)
    monkeypatch.setattr(chances, "SAMPLE", 60)
    choices = choices_of(1.0)
    assert len(choices.owner) < (20 + 60 + OWN) * USERS
    found = likeliest(choices)
    for name, error in NEAR.items():
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name), abs=error), name


def test_a_user_who_has_liked_every_item_chooses_among_them() -> None:
    again = Again(Seen(np.array([0, 4, 5]), np.array([0, 1, 2, 3, 0])), np.array([1, 9, 1, 1, 1]), np.zeros(5))
    chosen = np.array([0, 0, 1]), np.array([1, 2, 3])
    choices = Chances.of_some(torch.randn(1, 2, 4), Seen.none(2), chosen, told_of(again))
    assert choices.told[1, choices.chosen].tolist() == [1, 1, 0]
    assert np.isfinite(choices.loss(torch.ones(4).double()).item())
    found = likeliest(choices)
    assert np.isfinite([found.met, found.often]).all()


def test_where_everybody_chooses_what_was_liked_before_the_term_is_finite() -> None:
    """One item of five was liked, and is chosen; the scores are all alike."""
    again = Again(Seen(np.arange(4), np.zeros(3, np.int64)), np.ones(3, np.int64), np.zeros(3))
    who = np.arange(3), np.zeros(3, np.int64)
    chosen = Chances.of_some(torch.zeros(1, 3, 5), Seen.none(3), who, told_of(again)).likeliest()
    by_hand = minimize_scalar(lambda met: np.log1p(4 * np.exp(-met)) + chances.PRIOR * met**2, bounds=(0, 50)).x
    np.testing.assert_allclose(chosen[1:], [by_hand, 0, 0], atol=0.2)


def shop(folder: Path, again: float, rows: int = 4800, drift: bool = False) -> Path:
    """The configuration of a log where everybody has four favourites, to which this share of the rows goes.

    `drift`: what else is bought changes from week to week.
    """
    rng = np.random.default_rng(3)
    user = np.arange(rows) % 120
    favourite = rng.permuted(np.tile(np.arange(300), (120, 1)), axis=1)[:, :4]
    own = rng.random(rows) < again
    day = rng.integers(0, 90 * DAY, rows)
    others = (day // (7 * DAY) * 20 + rng.integers(0, 20, rows)) % 300 if drift else rng.integers(0, 300, rows)
    item = np.where(own, favourite[user, rng.integers(0, 4, rows)], others)
    time = 1_700_000_000 + day
    pd.DataFrame({"user_id": user, "item_id": item, "timestamp": time}).to_parquet(folder / "interactions.parquet")
    data = {"interactions": {"path": "interactions.parquet", "time": "timestamp"}, "split": {"by": "none"}}
    training = {"epochs": 2}
    return config_file(folder, "config.yaml", data=data, model={"name": "pmf", "dim": 4}, training=training)


def habit_in(checkpoint: Path) -> Habit | None:
    """The habit of a checkpoint."""
    told = json.loads((checkpoint / "spec.json").read_text())["habit"]
    return None if told is None else Habit(**told)


def test_training_for_lists_that_keep_what_was_met_learns_habits_and_says_what_they_are_worth(tmp_path: Path) -> None:
    config = shop(tmp_path, again=0.8)
    answer = command("train", config, "--out", tmp_path / "keep", "--set", "score.seen=keep")
    habit = habit_in(tmp_path / "keep")
    assert habit is not None
    assert habit.often > 0
    assert f"are of what was liked before; to the score of such is added {habit.formula}\n" in answer.err
    told = json.loads((tmp_path / "keep" / "metrics.json").read_text())["returning"]
    ndcg = {name: metrics["ndcg@10"] for name, metrics in told.items()}
    assert min(ndcg["model"], ndcg["habit"]) > max(ndcg["without"], ndcg["popular"]) + 0.2
    assert f"validation, everything, without: hr@10 {told['without']['hr@10']:.4f}" in answer.out
    assert "validation, what is new,   model: " in answer.out
    done("train", config, "--out", tmp_path / "new")
    assert habit_in(tmp_path / "new") is None
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("keep", "new")]
    assert weights[0] == weights[1]


def test_habits_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    config = shop(tmp_path, again=0.8)
    words = "train", config, "--set", "score.seen=keep", "--set"
    done(*words, "training.epochs=4", "--out", tmp_path / "longer")
    best = json.loads((tmp_path / "longer" / "metrics.json").read_text())["best_epoch"]
    assert best < 4
    done(*words, f"training.epochs={best}", "--out", tmp_path / "best")
    assert habit_in(tmp_path / "longer") == habit_in(tmp_path / "best")


def test_a_model_with_another_beside_it_learns_the_habits_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []

    def noted(towers: Towers, lists: ListValidation, state: Device) -> Habits:
        models.append(len(list(towers.user_tower.get_submodule("members").children())))
        return habits_of(towers, lists, state)

    monkeypatch.setattr(fit, "habits_of", noted)
    config = shop(tmp_path, again=0.6, drift=True)
    words = "--set", "score.seen=keep", "--set", "model={name: hybrid, dim: 4}", "--set", "training.timeless=0.25"
    done("train", config, "--out", tmp_path / "keep", *words)
    assert json.loads((tmp_path / "keep" / "spec.json").read_text())["timeless"] > 0
    assert habit_in(tmp_path / "keep") is not None
    assert models == [3]  # both models as one, and two tables


def test_habits_are_learned_where_nobody_likes_anything_new(tmp_path: Path) -> None:
    config = shop(tmp_path, again=1.0)
    answer = command("train", config, "--out", tmp_path / "keep", "--set", "score.seen=keep")
    assert "nobody who is learned from likes anything new" in answer.err
    habit, told = habit_in(tmp_path / "keep"), json.loads((tmp_path / "keep" / "metrics.json").read_text())
    assert habit is not None
    assert (told["rows"], told["held_out"]) == (4800, {})
    assert told["returning"]["model"]["recall@10"] > 0.99
    assert "training.epochs" not in answer.out  # nothing chose the last epoch


def test_every_account_of_a_training_tells_of_lists_that_keep_what_was_met(tmp_path: Path) -> None:
    """Of a log where nobody likes anything new, so that there is nothing else to tell."""
    shop(tmp_path, again=1.0)
    log, out = tmp_path / "interactions.parquet", tmp_path / "out"
    lines = command("run", log, "-o", out, "--seen", "keep", "--model", "popular", "--k", 5).out.splitlines()
    told = json.loads((out / "checkpoint" / "metrics.json").read_text())["returning"]
    model, habit = (told[name]["ndcg@10"] for name in ("model", "habit"))
    checks = [line for line in lines if line.startswith("Check")]
    assert f"ndcg@10 {model:.4f} (habits alone {habit:.4f})" in checks[0]
    assert checks[1] == "Check     nobody likes anything new in it, so nothing chose the epochs"
    assert "With what users had met, to which habits were fitted" in done("inspect", out / "checkpoint")
    card = (out / "bundle" / "MODEL_CARD.md").read_text()
    assert "## Metrics on the validation rows of everything" in card
    assert "None: the checkpoint says nothing" not in card
    done("report", out, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f"{model:.4f} (without {told['without']['ndcg@10']:.4f}, habit {habit:.4f}, popular " in page
    assert "of everything" in page


def test_a_report_remarks_that_habits_alone_do_better(tmp_path: Path) -> None:
    done("train", shop(tmp_path, again=0.8), "--out", tmp_path / "checkpoint", "--set", "score.seen=keep")
    path = tmp_path / "checkpoint" / "metrics.json"
    told = json.loads(path.read_text())
    told["returning"]["habit"]["ndcg@10"] = 0.95
    path.write_text(json.dumps(told))
    done("report", tmp_path / "checkpoint", "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "than what each user has liked most often on the validation rows, of everything" in page


@pytest.mark.parametrize("model", ["pmf", "popular"])
def test_a_training_that_is_behind_its_baselines_says_of_which_rows(model: str) -> None:
    held_out = {"model": {"ndcg@10": 0.1}, "popular": {"ndcg@10": 0.2}}
    returning = {"model": {"ndcg@10": 0.3}, "without": {"ndcg@10": 0.9}, "habit": {"ndcg@10": 0.4}}
    plan = SimpleNamespace(metric="ndcg@10", epochs=9)
    known: dict[str, Any] = {"plan": plan, "held_out": held_out, "returning": returning, "best_epoch": 2}
    remarks = Outcome.model_construct(**known).remarks(model)
    if model == "popular":
        assert remarks == ()
        return
    new, everything = remarks
    assert "no better than popularity on the validation rows, of what is new: ndcg@10 0.1000 against 0.2000" in new
    assert "most often on the validation rows, of everything: ndcg@10 0.3000 against 0.4000" in everything


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("data.interactions.repeats=first", "as data.interactions.repeats is first, so nobody chose anything again"),
        ("data.split.valid=0", "as no validation row tells what somebody chose next"),
    ],
)
def test_where_no_habits_can_be_learned_it_is_said(change: str, why: str, tmp_path: Path) -> None:
    words = "--set", "score.seen=keep", "--set", change
    answer = command("train", shop(tmp_path, again=0.8), "--out", tmp_path / "keep", *words)
    assert (habit_in(tmp_path / "keep"), f"no habits are learned, {why}" in answer.err) == (None, True)


def test_a_model_of_values_learns_no_habits_whatever_it_is_measured_by(tmp_path: Path) -> None:
    config = shop(tmp_path, again=0.8)
    log = pd.read_parquet(tmp_path / "interactions.parquet")
    log.assign(stars=1 + log.item_id % 5).to_parquet(tmp_path / "interactions.parquet")
    changes = "score.seen=keep", "training.loss=mse", "training.metric=ndcg@10", "data.interactions.value=stars"
    answer = command("train", config, "--out", tmp_path / "keep", *(w for c in changes for w in ("--set", c)))
    assert (answer.code, habit_in(tmp_path / "keep")) == (0, None), answer.err
    assert "no habits are learned, as a score predicts a value" in answer.err


def test_too_few_repeats_teach_nothing(tmp_path: Path) -> None:
    config = shop(tmp_path, again=0.0, rows=2400)
    answer = command("train", config, "--out", tmp_path / "keep", "--set", "score.seen=keep")
    assert habit_in(tmp_path / "keep") is None
    assert "are of what was liked before: too few to learn habits from" in answer.err


def lists_of(timeline: Timeline, clock: Clock) -> ListValidation:
    """What `by_habit` asks of a ListValidation."""
    dataset = SimpleNamespace(timeline=timeline)
    world = timeline.as_of(None, clock)
    told = {"dataset": dataset, "world": world, "recent": clock.counts - 1, "ranked": np.arange(timeline.items)}
    return cast(ListValidation, SimpleNamespace(**told))


@pytest.mark.parametrize("clock", [Clock(), Clock(half_lives=(7.0,))])
@pytest.mark.parametrize(("timed", "wanted"), [(True, [2, 0, 1, 3]), (False, [2, 1, 0, 3])])
def test_habits_alone_rank_by_how_often_then_how_lately_then_how_popular(
    timed: bool, wanted: list[int], clock: Clock
) -> None:
    """One user; the others like item 3 and then 1 the most."""
    rows = [(0, 2, 1), (0, 1, 2), (0, 2, 3), (0, 0, 4), *((1, 3, 5), (1, 1, 5), (2, 3, 5), (2, 1, 5), (3, 3, 5))]
    user, item, day = np.array(rows).T
    time = day * 86_400_000_000 if timed else None
    log = Log(user.astype(np.int32), item.astype(np.int32), time, None, np.ones(len(rows), bool))
    lists = lists_of(Timeline.of(log, 4, 6), clock if timed else Clock())
    score = by_habit(lists)(np.array([0]))[0]
    assert score.argsort(descending=True).tolist() == [*wanted, 4, 5]
