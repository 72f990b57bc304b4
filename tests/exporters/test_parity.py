"""Parity catches an export that is not the trained model, says what is wrong, and leaves nothing behind."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters import parity
from exporters.compare import tolerance_of
from exporters.formats import FORMATS
from exporters.job import ExportJob, run, verified
from exporters.parity import list_reports
from exporters.parts import Part
from exporters.program import call_of
from rec_export.bundle import Bundle, manifest_of
from rec_export.choices import Runtime
from rec_export.errors import ModelError, ParityError
from rec_export.sealed import write_manifest
from rec_export.towers import Inputs
from tests.exporters.conftest import ITEMS, Make, whole

Fault = Callable[[nn.Module], nn.Module]


class Shifted(nn.Module):
    """An item tower that gives each item the vector of the next."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of items -> float32 [N, D]."""
        moved = {name: value for name, value in inputs.items()}  # TorchScript has no dict(...)
        moved["row"] = inputs["row"] + 1
        return self.tower(moved)


class WithoutRelu(nn.Module):
    """A user tower whose last relu was lost."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.shared, self.context = tower.get_submodule("shared"), tower.get_submodule("context")

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of users -> float32 [B, D]."""
        return self.shared(inputs) + self.context(inputs["context"])


def reweighted(module: nn.Module) -> nn.Module:
    """With one weight a little larger."""
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] += 0.01
    return module


def with_a_nan_row(module: nn.Module) -> nn.Module:
    """With one item's row not a number."""
    with torch.no_grad():
        module.get_parameter("shared.ids.table.weight")[ITEMS // 2] = torch.nan
    return module


def rescaled(module: nn.Module) -> nn.Module:
    """With the scaler of other data."""
    module.get_submodule("shared.scaled").get_buffer("mean").add_(0.01)
    return module


def without_oov(module: nn.Module) -> nn.Module:
    """With ids that are out of the vocabulary taken for the first row."""
    with torch.no_grad():
        table = module.get_parameter("shared.ids.table.weight")
        table[-1] = table[0]
    return module


def plant(monkeypatch: pytest.MonkeyPatch, form: Runtime, part_name: str, fault: Fault) -> None:
    """Make the writer of a format write a faulty part."""
    write = FORMATS[form].write

    def faulty(part: Part, path: Path, labels: dict[str, str]) -> None:
        module = fault(part.module) if part.name == part_name else part.module
        write(replace(part, module=module.eval()), path, labels)

    monkeypatch.setitem(FORMATS, form, FORMATS[form]._replace(write=faulty))


@pytest.mark.parametrize(
    ("part", "fault", "said"),
    [
        ("pair_head", reweighted, r"in the case '2 users x 3 items' \d of 6 values are off"),
        ("item_tower", reweighted, r"in the case .* values are off, the worst by"),
        ("item_tower", Shifted, r"in the case 'real rows' [\d,]+ of [\d,]+ values are off"),
        ("user_tower", WithoutRelu, r"in the case 'real rows' [\d,]+ of [\d,]+ values are off"),
        ("user_tower", rescaled, r"in the case 'real rows' [\d,]+ of [\d,]+ values are off"),
        ("item_tower", with_a_nan_row, r"in the case 'real rows' 10 of 1,300 values are NaN or infinite in one"),
        ("item_tower", without_oov, r"in the case 'row -1' 10 of 70 values are off"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_fault_is_named_and_leaves_no_bundle(
    part: str, fault: Fault, said: str, checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "torchscript", part, fault)
    with pytest.raises(ParityError, match=f"^torchscript/{part} is not the trained model: {said}") as refusal:
        run(ExportJob(checkpoint=checkpoint("everything"), out=tmp_path / "bundle", formats=("torchscript",)))
    assert refusal.value.exit_code == 81
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.refused"]


@pytest.mark.parametrize("form", ["onnx", "pt2"])
def test_a_frozen_batch_axis_is_named(
    form: Runtime, checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporters.program.call_of", lambda inputs: {**call_of(inputs), "dynamic_shapes": None})
    with pytest.raises(ParityError, match=rf"{form}/user_tower .* row int64\[3\], .* instead of row int64\[B\], "):
        run(ExportJob(checkpoint=checkpoint("pmf"), out=tmp_path / "bundle", formats=(form,)))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.refused"]


def test_an_axis_frozen_inside_the_graph_is_caught_by_running_it(
    checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Traced(nn.Module):
        def forward(self, inputs: Inputs) -> Tensor:
            """Always three rows."""
            return torch.zeros(3, 42) + inputs["row"].unsqueeze(1)

    plant(monkeypatch, "torchscript", "user_tower", lambda _: Traced())
    with pytest.raises(
        ParityError, match=r"torchscript/user_tower is not the trained model: in the case '.* rows' it fails: "
    ):
        run(ExportJob(checkpoint=checkpoint("pmf"), out=tmp_path / "bundle", formats=("torchscript",)))


def test_lists_with_other_items_are_refused() -> None:
    score = np.random.default_rng(0).normal(size=(40, 130)).astype(np.float32)
    said = "in the lists of 40 users, .* items are wrong and .* are out of order at k = 1"
    with pytest.raises(ParityError, match=said):
        list_reports(score, score[:, ::-1], "torchscript", tolerance_of("torchscript"))


def test_a_model_that_does_not_take_every_id_is_refused(
    checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rec_export.layers.SafeEmbedding.forward", lambda self, row: self.table(row))
    with pytest.raises(
        ParityError, match="the trained user_tower itself cannot run the case 'row -1': index out of range"
    ):
        parity.trials_of(*whole(checkpoint("pmf")), checkpoint("pmf"))


def test_a_file_of_another_model_is_told_by_its_labels(checkpoint: Make, pristine: Make) -> None:
    parts, blueprint, _ = whole(checkpoint("pmf"))
    other = parity.labels(blueprint) | {"rec_export.weights_sha256": "of another training"}
    for form in ("torchscript", "onnx", "pt2"):
        with pytest.raises(ParityError, match=f"{form}/user_tower .* its labels are"):
            parity.check_structure(pristine("pmf"), form, list(parts), other)


def test_verify_repeats_the_proof_from_the_bundle_alone(bundle: Make) -> None:
    manifest, _, report = verified(bundle("everything"))
    assert report.summaries() == manifest.parity


def test_verify_refuses_a_manifest_that_tells_of_other_inputs(bundle: Make) -> None:
    folder = bundle("pmf")
    manifest = manifest_of(folder)
    (port, *others), user = manifest.user_inputs, manifest.signatures["user_tower"]
    told = user.model_copy(update={"inputs": (port.model_copy(update={"pad": 0}), *others)})
    write_manifest(folder, manifest.model_copy(update={"signatures": manifest.signatures | {"user_tower": told}}))
    with pytest.raises(ModelError, match="tells of user_tower what is not true of the file; export it again"):
        verified(folder)


def test_a_seal_that_is_gone_is_named(bundle: Make) -> None:
    folder = bundle("pmf")
    (folder / "manifest.sha256").unlink()
    with pytest.raises(ModelError, match=r"manifest\.sha256 is missing, so nothing tells"):
        Bundle.read(folder)


def test_verify_refuses_weights_that_are_not_the_trained_ones(bundle: Make) -> None:
    folder = bundle("everything")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"1 file of the bundle .* is missing"):
        verified(folder)
