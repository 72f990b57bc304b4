"""What is made before the first epoch does not depend on how much of it is kept."""

from pathlib import Path

import pytest

from rec_export.config import Config
from rec_export.models import spec_of
from tests.conftest import done
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
