"""What is made before the first epoch does not depend on how much of it is kept."""

from pathlib import Path

import pytest

from tests.conftest import done


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
