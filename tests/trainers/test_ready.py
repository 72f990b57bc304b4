"""What is made before the first epoch does not depend on how much of it is kept."""

from pathlib import Path

import numpy as np
import pytest

from rec_export.config import Config
from rec_export.models import spec_of
from tests.conftest import done
from trainers.examples import Snapshots
from trainers.loop import Run
from trainers.parallel import ALONE
from trainers.ready import read_source, ready


def test_tables_of_all_rows_that_are_made_again_give_the_same_weights(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = "data.split.by=none", "model={name: hybrid, dim: 4}", "training.epochs=1"
    words = [word for change in changes for word in ("--set", change)]
    for many, name in ((10**9, "kept"), (10, "again")):
        monkeypatch.setattr("trainers.ready.MANY", many)
        done("train", shop / "config.yaml", "--out", tmp_path / name, *words)
    kept, again = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("kept", "again"))
    assert kept == again


@pytest.mark.parametrize("model", ["pmf", "ncf", "music"])
def test_a_model_that_knows_users_by_rows_learns_of_everybody_though_time_tells_something(
    model: str, shop: Path, tmp_path: Path
) -> None:
    """Of a user who came but once, long ago, there is no snapshot; the row would stay as it was drawn."""
    config = Config.load(shop / "config.yaml", (f"model={{name: {model}}}",))
    spec = spec_of(config.model, "here")
    made = ready(config, spec, read_source(config, spec), ALONE)
    assert isinstance(made.course, Run)
    assert made.plan.clock.timed
    learned = {user for batch in made.course.examples.batches(64, np.random.default_rng(0)) for user in batch.user}
    assert learned == set(np.flatnonzero(np.diff(made.dataset.timeline.start)))
    hybrid = spec_of({"name": "hybrid"}, "here")
    histories = ready(config, hybrid, read_source(config, hybrid), ALONE).course
    assert isinstance(histories, Run)
    assert isinstance(histories.examples, Snapshots)


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("als", "training.batch, training.lr, training.loss of the configuration are"),
        ("bpr", "training.batch, training.loss of the configuration are"),
        ("pmf", None),
    ],
)
def test_what_a_solver_does_not_look_at_is_told(
    model: str, keys: str | None, shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = f"model={{name: {model}}}", "training.loss=bce", "training.lr=0.5", "training.batch=7", "training.seed=3"
    config = Config.load(shop / "config.yaml", changes)
    spec = spec_of(config.model, "here")
    caplog.clear()
    source = read_source(config, spec)
    told = [line for line in caplog.messages if "not looked at" in line]
    assert told == ([f"{keys} not looked at by the model's own solver"] if keys else [])
    assert (ready(config, spec, source, ALONE).plan.loss == "bce") == (keys is None)


def test_a_search_for_settings_reads_nothing_for_habits(shop: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rec_export")
    for changes, said in ((("score.seen=keep",), 0), (("score.seen=keep", "data.interactions.repeats=first"), 1)):
        config = Config.load(shop / "config.yaml", changes)
        spec = spec_of(config.model, "here")
        for habits in (True, False):
            caplog.clear()
            made = ready(config, spec, read_source(config, spec), ALONE, habits=habits)
            assert (made.returning is not None) == (habits and not said)
            assert ["no habits are learned" in line for line in caplog.messages].count(True) == (habits and said)
