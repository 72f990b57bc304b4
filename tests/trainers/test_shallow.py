"""A shallow auto-encoder is found in closed form, and as much of it is added as makes held-out likings likeliest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rec_export.checkpoint import Checkpoint, modules
from rec_export.config import Config
from rec_export.data.columns import Int64
from rec_export.data.log import Log
from rec_export.metrics import Float64
from rec_export.models import spec_of
from rec_export.shallow import Shallow
from rec_export.terms import TOGETHER, term_names, terms
from rec_export.topk import Seen
from rec_export.towers import DotHead, Inputs
from rec_export.world import Timeline
from tests.conftest import command, config_file, done, write_table
from trainers import shallow
from trainers.parallel import ALONE
from trainers.ready import read_source, ready
from trainers.shallow import LEAST, MEAN, RIDGE, Chances, added, learned
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


def chances(share: float, units: tuple[float, float] = (1.0, 1.0), users: int = 4000, items: int = 60) -> Chances:
    """Of users who choose once each, by a softmax of the first score and `share` of the second, told in other units."""
    rng = np.random.default_rng(1)
    score = rng.normal(0, 1.0, (2, users, items))
    value = score[0] + share * score[1] + rng.gumbel(size=(users, items))
    chosen = np.argmax(value, axis=1)
    told = torch.from_numpy(score * np.array(units)[:, None, None])
    return whole(told, np.arange(users), chosen)._replace(spread=told.std(2).mean(1).numpy())


def whole(score: Tensor, user: Int64, item: Int64) -> Chances:
    """Choices among all items, from scores float64 [2, U, N]."""
    users, items = score.shape[1:]
    owner, every = torch.arange(users).repeat_interleave(items), score.flatten(1)
    return Chances(owner, every, torch.zeros(users * items), torch.from_numpy(user), score[:, user, item], np.ones(2))


@pytest.mark.parametrize(("share", "units"), [(0.4, (1.0, 1.0)), (0.4, (30.0, 1e-3)), (0.05, (1.0, 1.0)), (3, (1, 1))])
def test_the_share_is_found_in_the_units_of_the_scores(share: float, units: tuple[float, float]) -> None:
    found = chances(share, units).likeliest() * units[1] / units[0]
    assert found == pytest.approx(share, rel=0.1, abs=0.03)


def test_what_makes_choices_less_likely_is_not_added() -> None:
    assert chances(-0.3).likeliest() == 0


def test_what_says_the_same_of_all_items_has_a_share_that_is_a_number() -> None:
    made = chances(0.4)
    none = made._replace(
        both=made.both * torch.tensor([[1.0], [0.0]]),
        theirs=made.theirs * torch.tensor([[1.0], [0.0]]),
        spread=np.array([1.0, 0.0]),
    )
    assert np.isfinite(none.likeliest())


def test_the_loss_is_the_mean_over_users_of_their_choices_surprise() -> None:
    rng = np.random.default_rng(2)
    both, weight = rng.normal(size=(2, 3, 7)), np.array([0.7, 0.2])
    user, item = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 5, 0, 2, 3, 6])
    value = np.tensordot(weight, both, 1)
    surprise = np.log(np.exp(value).sum(1))[:, None] - value
    wanted = np.mean([surprise[one, item[user == one]].mean() for one in range(3)])
    made = whole(torch.from_numpy(both), user, item)
    assert made.loss(torch.from_numpy(weight)).item() == pytest.approx(wanted)


def scenes(folder: Path, **training: Any) -> Path:
    """The configuration of a log of scenes, of which each user likes much of two; without time."""
    rng = np.random.default_rng(4)
    user, item = [], []
    for one in range(150):
        for scene in rng.choice(30, 2, replace=False):
            mine = rng.choice(12, 8, replace=False) + 12 * scene
            user += [one] * 8
            item += mine.tolist()
    write_table(folder / "log.parquet", user_id=user, item_id=item)
    data = {"interactions": {"path": "log.parquet"}}
    return config_file(folder, data=data, model={"name": "hybrid", "dim": 4}, training={"epochs": 3, **training})


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


def held_out(config: Path, *changes: str) -> tuple[Any, ListValidation]:
    """A model that has learned nothing, and what it is judged by."""
    read = Config.load(config, changes)
    spec = spec_of(read.model, "here")
    made = ready(read, spec, read_source(read, spec), ALONE)
    assert isinstance(made.validation, ListValidation)
    modules(made.course.towers).eval()
    return made, made.validation


def test_one_of_several_models_gets_less_than_suits_it_alone(tmp_path: Path) -> None:
    made, validation = held_out(scenes(tmp_path))
    shares = []
    for seeds in (1, 3):
        plan = made.plan.model_copy(update={"seeds": seeds})
        found, _ = added(made.course.towers, validation, plan, made.course.held)
        assert found is not None
        shares.append(found.share)
    assert shares[1] == pytest.approx(MEAN * shares[0], rel=1e-5)


@pytest.mark.parametrize(("likeliest", "times"), [(0.0, 1.0), (1e9, None)])
def test_where_time_is_looked_at_it_is_added_at_a_little_at_least(
    likeliest: float, times: float | None, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(shop / "config.yaml")
    monkeypatch.setattr(Chances, "likeliest", lambda self: likeliest)
    monkeypatch.setattr(ListValidation, "measure", lambda *rest: {"ndcg@10": 0.1})
    tables = learned(
        Shallow(rank=64, half=50.0, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained
    )
    spread = Chances.of(validation, made.course.towers, tables, made.course.held).spread
    found, _ = added(made.course.towers, validation, made.plan, made.course.held)
    assert found is not None
    assert found.half == 50
    wanted = 1e9 if times is None else times * LEAST * spread[0] / spread[1]
    assert found.share == pytest.approx(wanted, rel=1e-4)


def test_where_time_is_not_looked_at_nothing_is_added_that_makes_nothing_likelier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, validation = held_out(scenes(tmp_path))
    monkeypatch.setattr(Chances, "likeliest", lambda self: 0.0)
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


def test_of_many_users_some_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, validation = held_out(scenes(tmp_path))
    tables = learned(Shallow(rank=8, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained)
    monkeypatch.setattr(shallow, "USERS", 70)  # more than are scored at once
    some = Chances.of(validation, made.course.towers, tables, made.course.held)
    asked = np.sort(np.random.default_rng(0).permutation(len(validation.user))[:70])
    count = choices_of(validation)[asked]
    np.testing.assert_array_equal(torch.bincount(some.chosen).numpy(), count)  # of any of them, not of the first
    row = np.concatenate([validation.targets.item_row[validation.targets.user == one] for one in asked])
    with torch.no_grad():
        score = validation.scores(tables, made.course.held)(validation.user[asked])
    torch.testing.assert_close(some.theirs[1].float(), score[np.repeat(np.arange(70), count), row])
    monkeypatch.setattr(shallow, "NUMBERS", 1)  # one user at a time
    alone = Chances.of(validation, made.course.towers, tables, made.course.held)
    torch.testing.assert_close(alone.both.sum(), some.both.sum(), rtol=1e-4, atol=1e-2)
    assert torch.equal(alone.owner, some.owner)
    monkeypatch.setattr(shallow, "PEERS", 40)
    fewer = learned(Shallow(rank=8, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained)
    assert not torch.equal(fewer.user_tower.get_buffer("reads"), tables.user_tower.get_buffer("reads"))


def choices_of(validation: ListValidation) -> Int64:
    """How many held-out likings each user has."""
    return validation.targets.counts(len(validation.user))


def test_what_a_user_has_met_is_no_choice_and_what_is_chosen_is_among_the_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shallow, "BEST", 3)
    monkeypatch.setattr(shallow, "SAMPLE", 20)
    made, validation = held_out(scenes(tmp_path))
    tables = learned(Shallow(rank=8, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained)
    found = Chances.of(validation, made.course.towers, tables, made.course.held)
    assert len(found.chosen) == choices_of(validation).sum()
    new = torch.zeros(len(validation.user)).double().index_add(0, found.owner, found.stands.exp()).numpy()
    met = np.diff(validation.seen(validation.user).start)
    np.testing.assert_allclose(new, made.dataset.catalogue.items.trained - met)
    assert len(found.owner) < 30 * len(validation.user)
    for user, pair in zip(found.chosen.tolist(), found.theirs.T, strict=True):
        mine = found.owner == user
        assert ((pair == found.both[:, mine].T).all(1) & (found.stands[mine] == 0)).any()


def test_a_sample_stands_for_most_items_though_choices_lie_where_the_model_sees_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shallow, "BEST", 50)
    monkeypatch.setattr(shallow, "SAMPLE", 100)
    rng, users, items = np.random.default_rng(6), 1500, 3000
    score = rng.normal(0, 1.0, (2, users, items))
    near = rng.permuted(np.tile(np.arange(items), (users, 1)), axis=1)[:, :40]
    score[1] = 0
    np.put_along_axis(score[1], near, rng.exponential(1.0, near.shape), 1)  # few items, as neighbours are
    chosen = np.argmax(score[0] + 2 * score[1] + rng.gumbel(size=(users, items)), axis=1)
    told, who = torch.from_numpy(score).float(), np.arange(users)
    user, item, stands = shallow.competing(told, Seen.none(users), (who, chosen))
    made = Chances(
        user, told[:, user, item].double(), stands, torch.from_numpy(who), told[:, who, chosen].double(), np.ones(2)
    )
    assert made.likeliest() == pytest.approx(2, rel=0.15)


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
