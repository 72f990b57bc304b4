"""Beside a model that looks at time stands one that does not, at a share that the validation rows must bear."""

import gc
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, final
from weakref import WeakSet

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from rec_export.checkpoint import Checkpoint
from rec_export.config import Config
from rec_export.ensemble import Away, ItemWithoutTime, SideBySide, Timeless, UserWithoutTime
from rec_export.models import spec_of
from rec_export.terms import term_names, terms
from rec_export.towers import DotHead, Inputs, Sizes, TableSizes, Towers
from rec_export.world import CONTEXT, EMPTY, LASTING, RECENCY
from tests.conftest import config_file, done
from trainers.batches import Device
from trainers.course import Trained
from trainers.loop import Run
from trainers.parallel import ALONE
from trainers.ready import read_source, ready
from trainers.timeless import Wish, second_plan, weighed
from trainers.validation import Validation

COUNTS = 3  # trend columns that are counts; the flag and the age come after them


@pytest.fixture(scope="module", params=["hybrid", "gated"])
def both(shop: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A checkpoint of two models."""
    changes = (
        f"model={{name: {request.param}, dim: 4}}",
        "training.epochs=2",
        "training.timeless=0.5",
        "training.shallow=false",
    )
    out = tmp_path_factory.mktemp("both") / "checkpoint"
    done("train", shop / "config.yaml", "--out", out, *(word for change in changes for word in ("--set", change)))
    return out


def made_up(checkpoint: Checkpoint, seed: int) -> tuple[Inputs, Inputs]:
    """Inputs of 5 users and of all items."""
    spec, sizes = checkpoint.blueprint.spec(), checkpoint.blueprint.sizes
    made = torch.Generator().manual_seed(seed)
    axes = {"B": 5, "N": sizes.items.rows, "L": 3, "T": 2}

    def inputs(ports: tuple[object, ...]) -> Inputs:
        zeros = {port.name: port.zeros(axes) for port in ports}  # type: ignore[attr-defined]
        return {name: torch.randint(0, 3, value.shape, generator=made).to(value.dtype) for name, value in zeros.items()}

    return inputs(spec.user_inputs(sizes)), inputs(spec.item_inputs(sizes))


def test_the_score_is_that_of_the_first_and_a_share_of_the_second(both: Path) -> None:
    checkpoint = Checkpoint.read(both)
    user, item = made_up(checkpoint, 0)
    towers = checkpoint.towers
    with torch.no_grad():
        first, second = (
            one(user) @ other(item).T
            for one, other in zip(
                cast(SideBySide, towers.user_tower).members, cast(SideBySide, towers.item_tower).members, strict=True
            )
        )
        whole = towers.pair_head(towers.user_tower(user), towers.item_tower(item))
    torch.testing.assert_close(whole, first + checkpoint.blueprint.timeless * second)


def test_who_has_been_away_for_half_of_the_logs_time_hears_four_times_as_much(both: Path, shop: Path) -> None:
    checkpoint = Checkpoint.read(both)
    away, time = checkpoint.blueprint.away, pd.read_parquet(shop / "interactions.parquet").timestamp
    assert away is not None
    assert away.times == 4
    assert away.days * 86400 / (time.max() - time.min()) == pytest.approx(0.5, abs=0.1)  # of the rows to learn from
    assert "one that looks at no time, added at 0.5, and 4 times that from " in done("inspect", both)
    user, _ = made_up(checkpoint, 0)
    second = cast(SideBySide, checkpoint.towers.user_tower).members[-1]
    told = []
    for days in (0.0, away.days - 0.01, away.days + 0.01, 1e6):
        user["context"][:, [RECENCY, EMPTY]] = torch.tensor([np.log1p(days) / 4, 0.0], dtype=torch.float32)
        with torch.no_grad():
            told.append(second(user))
    assert torch.equal(told[0], told[1])
    assert torch.equal(told[2], told[3])
    torch.testing.assert_close(told[2], 4 * told[0])
    old = checkpoint.blueprint.model_copy(update={"away": None}).build()  # as before this was known
    cast(SideBySide, old.user_tower).load_state_dict(checkpoint.towers.user_tower.state_dict())
    with torch.no_grad():
        assert torch.equal(cast(SideBySide, old.user_tower).eval().members[-1](user), told[0])


def test_the_second_model_hears_nothing_of_the_date_but_of_a_long_absence(both: Path) -> None:
    checkpoint = Checkpoint.read(both)
    counts = checkpoint.blueprint.sizes.counts
    user, item = made_up(checkpoint, 0)
    later, trending = made_up(checkpoint, 1)
    user["context"][:, EMPTY] = 0
    user["context"][:, RECENCY], later["context"][:, RECENCY] = 0.0, 0.2  # neither of which is long
    later = {**user, "context": torch.where(torch.from_numpy(LASTING), user["context"], later["context"])}
    trend = torch.cat([trending["trend"][:, : counts - 1], item["trend"][:, counts - 1 : counts + 1]], 1)
    trending = {**item, "trend": torch.cat([trend, trending["trend"][:, counts + 1 :]], 1)}
    assert not torch.equal(later["context"], user["context"])
    assert not torch.equal(trending["trend"], item["trend"])
    with torch.no_grad():
        for tower, inputs, others in (
            (checkpoint.towers.user_tower, user, later),
            (checkpoint.towers.item_tower, item, trending),
        ):
            first, second = cast(SideBySide, tower).members
            assert not torch.equal(first(inputs), first(others))
            assert torch.equal(second(inputs), second(others))


def test_what_the_second_model_says_is_in_the_terms_of_the_score(both: Path) -> None:
    checkpoint = Checkpoint.read(both)
    user, item = made_up(checkpoint, 0)
    with torch.no_grad():
        user_vec = checkpoint.towers.user_tower(user)[0].double().numpy()
        item_vec = checkpoint.towers.item_tower(item).double().numpy()
    score = item_vec @ user_vec
    told = terms(checkpoint.blueprint, DotHead(), user_vec, item_vec, score)
    assert told.shape == (len(score), len(term_names(checkpoint.blueprint, DotHead())))
    np.testing.assert_allclose(told.sum(1), score, rtol=0, atol=1e-12)


def test_both_learn_again_from_all_rows(both: Path) -> None:
    history = [json.loads(line) for line in (both / "history.jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(epoch["phase"] for epoch in history)) == [
        "search", "without time", "refit", "refit without time"
    ]  # fmt: skip


def test_what_learned_before_is_gone_when_another_model_learns(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, train, alive = WeakSet[Run](), Run.train, dict[str, int]()

    def watched(self: Run, validation: Validation | None, phase: str, *rest: Any, **named: Any) -> Trained:
        made.add(self)
        gc.collect()
        alive[phase] = len(made)
        return train(self, validation, phase, *rest, **named)

    monkeypatch.setattr(Run, "train", watched)
    changes = "model={name: hybrid, dim: 4}", "training.epochs=1", "training.timeless=0.5"
    words = [word for change in changes for word in ("--set", change)]
    done("train", shop / "config.yaml", "--out", tmp_path / "checkpoint", *words)
    assert alive == {"search": 1, "without time": 1, "refit": 1, "refit without time": 1}


def test_a_log_without_time_has_one_model(tmp_path: Path) -> None:
    pairs = [(user, item) for user in range(30) for item in range(12) if (user + item) % 3]
    log = tmp_path / "log.csv"
    log.write_text("user,item\n" + "".join(f"u{user},i{item}\n" for user, item in pairs))
    config = config_file(
        tmp_path, data={"interactions": {"path": str(log), "user": "user", "item": "item"}}, training={"epochs": 1}
    )
    done("train", config, "--out", tmp_path / "checkpoint")
    assert Checkpoint.read(tmp_path / "checkpoint").blueprint.timeless == 0


def test_a_rate_for_the_first_model_is_none_for_the_second(shop: Path) -> None:
    config = Config.load(shop / "config.yaml", ("training.lr=0.123", "training.epochs=2"))
    spec = spec_of(config.model, "here")
    made = ready(config, spec, read_source(config, spec), ALONE)
    second = second_plan(made, config.training, spec)
    assert second is not None
    assert (made.plan.lr, second.lr, second.epochs, second.clock.timed) == (0.123, 0.006, 2, False)


@pytest.mark.parametrize(("batch", "steps", "epochs"), [(2, None, 10), (7, 500, None), (4096, None, 60)])
def test_the_second_model_learns_for_some_500_steps_in_10_to_60_epochs(
    batch: int, steps: int | None, epochs: int | None, shop: Path
) -> None:
    config = Config.load(shop / "config.yaml", (f"training.batch={batch}", "training.epochs=null"))
    spec = spec_of(config.model, "here")
    made = ready(config, spec, read_source(config, spec), ALONE)
    second = second_plan(made, config.training, spec)
    assert second is not None
    learners = int((np.diff(made.dataset.timeline.start) > 0).sum())  # one example a user and epoch
    if steps is not None:
        assert 0 <= steps - second.epochs * learners / batch < learners / batch  # to the last whole epoch
    assert epochs in (None, second.epochs)


class Constant(nn.Module):
    """A tower that gives the same vector to everybody."""

    def forward(self, inputs: Inputs) -> Tensor:
        """Nothing -> float32 [1, 1]."""
        return torch.ones(1, 1)


@final
class Falling(Validation):
    """A metric that falls with the share of a second model."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def measure(self, towers: Towers, state: Device) -> dict[str, float]:
        """NDCG by the share."""
        tower = towers.user_tower
        share = tower.shares[-1] ** 2 if isinstance(tower, SideBySide) else 0.0
        return {"ndcg@10": 0.2 - self.slope * share}

    def beside(self) -> dict[str, dict[str, float]]:
        """Nothing."""
        return {}


@pytest.mark.parametrize(
    ("slope", "share", "metric"),
    [(-0.1, 0.3, 0.23), (0.0, 0.3, 0.2), (0.06, 0.3, 0.182), (0.09, 0.2, 0.182), (0.19, 0.1, 0.181), (0.3, 0.0, 0.2)],
)
def test_a_share_that_costs_more_than_a_tenth_is_made_smaller(slope: float, share: float, metric: float) -> None:
    towers = Towers(Constant(), Constant(), DotHead())
    sizes = Sizes(users=TableSizes(rows=1), items=TableSizes(rows=1), context=CONTEXT, trend=COUNTS + 2, counts=COUNTS)
    state = cast(Device, type("State", (), {"device": torch.device("cpu")}))
    found, held_out = weighed(towers, Timeless(towers, 0.3, None, sizes), 0.9, Falling(slope), state, "ndcg@10")
    assert [found, held_out["ndcg@10"]] == pytest.approx([share, metric])
    assert weighed(towers, Timeless(towers, 0.3, None, sizes), 0.0, Falling(slope), state, "ndcg@10")[0] == 0.3


@pytest.mark.parametrize(("new", "wish"), [(0.0, (0.15, 0.9)), (0.4, (0.15, 0.9)), (0.6, (0.4, 0.8))])
def test_where_most_who_come_were_never_seen_before_the_second_model_counts_twice_as_much(
    new: float, wish: tuple[float, float], shop_copy: Path
) -> None:
    log = pd.read_parquet(shop_copy / "interactions.parquet").sort_values("timestamp", kind="stable")
    newest = np.arange(len(log)) >= 0.9 * len(log)
    strangers = newest & (np.random.default_rng(0).random(len(log)) < new)
    names = [f"visitor {place // 3}" for place in range(len(log))]
    log.assign(user_id=log.user_id.where(~strangers, names)).to_parquet(shop_copy / "interactions.parquet")
    config = Config.load(shop_copy / "config.yaml", ("data.split={by: none}",))
    spec = spec_of(config.model, "here")
    made = ready(config, spec, read_source(config, spec), ALONE)
    assert made.plan.clock.timed
    assert Wish.of(made, None)[:2] == wish
    assert Wish.of(made, 0.7)[:2] == (0.7, 0.9)  # what is asked for is asked for
    held = np.random.default_rng(1).random(len(log)) < 0.1  # of any time, so that nothing is told of the newest
    parts = log.assign(part=np.where(held, "valid", "train"))
    parts.to_parquet(shop_copy / "interactions.parquet")
    config = Config.load(shop_copy / "config.yaml", ("data.split={by: column, column: part}",))
    assert Wish.of(ready(config, spec, read_source(config, spec), ALONE), None)[:2] == (0.15, 0.9)


def test_a_training_wishes_what_the_log_tells(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.timeless.known_share", lambda source: 0.4)
    changes = "model={name: hybrid, dim: 4}", "training.epochs=1", "training.refit=false"
    done("train", shop / "config.yaml", "--out", tmp_path / "c", *(w for c in changes for w in ("--set", c)))
    assert Checkpoint.read(tmp_path / "c").blueprint.timeless in (0.4, 0.266667)  # .15 has no such parts


class Told(nn.Module):
    """What arrives at a tower."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """The input of that name."""
        return inputs[self.name]


@pytest.mark.parametrize("how", [lambda tower: tower, torch.jit.script])
def test_towers_without_time_get_what_lasts_and_are_silent_on_users_without_a_history(
    how: Callable[[nn.Module], nn.Module],
) -> None:
    context, trend = torch.arange(1.0, 17.0).view(2, CONTEXT), torch.arange(10.0).view(2, COUNTS + 2)
    context[:, 2] = torch.tensor([0.0, 1.0])
    user = how(UserWithoutTime(Told("context"), None))({"context": context})
    assert torch.equal(user, torch.tensor([[1.0, 0, 0, 4, 0, 0, 0, 0], [0] * 8]))
    away = how(UserWithoutTime(Told("context"), Away(days=math.expm1(8), times=3)))({"context": context})
    assert torch.equal(away, 3 * user)
    item = how(ItemWithoutTime(Told("trend"), COUNTS - 1))({"trend": trend})
    assert torch.equal(item, torch.tensor([[2.0, 3], [7, 8]]))
