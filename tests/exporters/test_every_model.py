"""Every model exports, has smaller copies, and exports with other numbers than its own."""

from pathlib import Path
from typing import Any

import pytest

from exporters.job import ExportJob, priced, run
from exporters.variants import Wanted
from rec_export.bundle import Bundle
from rec_export.checkpoint import Checkpoint
from rec_export.models import names
from tests.exporters.conftest import ALL, Make, write_checkpoint


@pytest.mark.slow
@pytest.mark.parametrize("model", [name for name in names() if name != "everything"])
def test_every_model_exports(model: str, pristine: Make) -> None:
    bundle = Bundle.read(pristine(model))
    everywhere = {f"{form}/{part}" for form in ALL for part in ("user_tower", "item_tower", "pair_head")}
    assert {"onnx/recommender", *everywhere} <= {proof.artefact for proof in bundle.manifest.parity}
    head = bundle.pair_head()  # as `score` reads it
    assert all(weight.isfinite().all() for weight in head.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("model", [name for name in names() if name not in ("everything", "popular")])
def test_every_model_has_copies(model: str, bundle: Make, checkpoint: Make) -> None:
    """Beside the bundle of the test above, as exporting takes far longer; test_variants.py has whole exports."""
    found = priced(bundle(model), Checkpoint.read(checkpoint(model)), Wanted(), "nothing is held out")
    assert [variant.name for variant in found.variants] == ["onnx-fp16", "onnx-int8"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "numbers"),
    [
        ("ncf", {"kind": "dot"}),
        pytest.param("music", {"hidden": (256, 128, 64)}, marks=pytest.mark.long),
        ("music", {"hidden": (8,)}),
    ],
)
def test_what_is_not_the_default_exports(model: str, numbers: dict[str, Any], tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", model, **numbers)
    assert len(run(ExportJob(checkpoint=folder, out=tmp_path / "bundle", formats=ALL)).parity) >= 10
