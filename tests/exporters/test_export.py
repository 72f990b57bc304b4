"""A bundle holds the trained model in every format, alone, and says what it holds."""

import logging
import warnings
from pathlib import Path

import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rec_export
from exporters import parity
from exporters.fresh import outputs_of
from exporters.job import ExportJob, run
from exporters.onnx import quiet
from exporters.parts import parts_of
from exporters.program import example
from exporters.torchscript import undeprecated
from rec_export.bundle import Bundle
from rec_export.checkpoint import Checkpoint
from rec_export.errors import ModelError, OutputExistsError, ParityError
from rec_export.files import sha256
from rec_export.runtime import FILES, Tower, load_tower
from tests.exporters.conftest import ALL, ITEMS, Make, whole

CPU = torch.device("cpu")
ANY_INT64 = st.integers(-(2**63), 2**63 - 1)
ITEM = ANY_INT64 | st.integers(-1, ITEMS)


def test_a_bundle_can_be_read_and_says_what_it_holds(pristine: Make, checkpoint: Make) -> None:
    manifest = Bundle.read(pristine("everything")).manifest
    assert manifest.formats == ALL
    assert manifest.checkpoint == sha256(checkpoint("everything") / "weights.safetensors")
    assert {file.path for file in manifest.files} == {
        *(FILES[form].format(part) for form in ALL for part in ("user_tower", "item_tower", "pair_head")),
        *("weights.safetensors", "users.parquet", "items.parquet", "trend.safetensors", "parity/report.json"),
        *("onnx/recommender.onnx", "onnx/user_features.onnx", "onnx/item_features.onnx", "MODEL_CARD.md"),
        *("parity/cases/user_tower.safetensors", "parity/cases/item_tower.safetensors"),
        *(f"features/{side}.{kind}" for side in ("users", "items") for kind in ("json", "safetensors")),
    }
    assert {proof.artefact: proof.same_lists for proof in manifest.parity} == {
        **{f"{form}/{part}": True for form in ALL for part in ("user_tower", "item_tower", "pair_head")},
        **dict.fromkeys(("onnx/user_features", "onnx/item_features", "onnx/recommender"), True),
    }
    assert manifest.versions["onnx_opset"] == "20"


@pytest.mark.slow
@pytest.mark.parametrize(("model", "opset"), [("everything", 18), ("pmf", 23)])
def test_another_opset_can_be_asked_for(model: str, opset: int, checkpoint: Make, tmp_path: Path) -> None:
    job = ExportJob(checkpoint=checkpoint(model), out=tmp_path / "bundle", formats=("onnx",), opset=opset)
    assert run(job).versions["onnx_opset"] == str(opset)
    for name in ("user_tower", "recommender"):
        imports = onnx.load(job.out / f"onnx/{name}.onnx", load_external_data=False).opset_import
        assert [one.version for one in imports if not one.domain] == [opset]


def test_one_format_can_be_written_alone(checkpoint: Make, tmp_path: Path) -> None:
    run(ExportJob(checkpoint=checkpoint("pmf"), out=tmp_path / "bundle", formats=("torchscript",)))
    bundle = Bundle.read(tmp_path / "bundle")
    assert bundle.manifest.formats == ("torchscript",)
    assert not (bundle.folder / "onnx").exists()


def test_an_existing_output_is_refused_and_left_alone(checkpoint: Make, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(OutputExistsError) as refusal:
        run(ExportJob(checkpoint=checkpoint("pmf"), out=tmp_path / "bundle", formats=("torchscript",)))
    assert refusal.value.exit_code == 73
    assert list((tmp_path / "bundle").iterdir()) == []


@pytest.mark.parametrize("path", ["onnx/item_tower.onnx", "torchscript/user_tower.pt", "weights.safetensors"])
def test_a_flipped_byte_is_refused(path: str, bundle: Make) -> None:
    folder = bundle("everything")
    content = bytearray((folder / path).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / path).write_bytes(content)
    with pytest.raises(ModelError, match=f"the first being {path}") as refusal:
        Bundle.read(folder)
    assert refusal.value.exit_code == 65


@pytest.fixture(scope="module")
def item_towers(pristine: Make, checkpoint: Make) -> list[Tower]:
    """The item tower of pmf: trained, then in each format."""
    _, item, _ = whole(checkpoint("pmf"))[0]
    return [item.run, *(load_tower(pristine("pmf"), "item_tower", form, CPU) for form in ALL)]


@pytest.fixture(scope="module")
def user_towers(pristine: Make, checkpoint: Make) -> list[Tower]:
    """The user tower that reads everything: trained, then in each format."""
    user, _, _ = whole(checkpoint("everything"))[0]
    return [user.run, *(load_tower(pristine("everything"), "user_tower", form, CPU) for form in ALL)]


@settings(deadline=None)
@given(row=st.lists(ANY_INT64, max_size=6))
def test_any_row_is_safe_and_gives_the_same_everywhere(row: list[int], item_towers: list[Tower]) -> None:
    trained, *exported = (tower({"row": torch.tensor(row, dtype=torch.int64)}) for tower in item_towers)
    for vectors in exported:
        torch.testing.assert_close(vectors, trained, rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(history=st.lists(ITEM, max_size=5), length=ANY_INT64 | st.integers(-1, 6))
def test_any_history_is_safe_and_gives_the_same_everywhere(
    history: list[int], length: int, user_towers: list[Tower], checkpoint: Make
) -> None:
    inputs = example(whole(checkpoint("everything"))[0][0].inputs)
    inputs["history"] = torch.tensor([history, history[::-1], history], dtype=torch.int64)
    inputs["history_length"] = torch.tensor([length, length, 0])
    trained, *exported = (tower(inputs) for tower in user_towers)
    for vectors in exported:
        torch.testing.assert_close(vectors, trained, rtol=1e-4, atol=1e-5)


def test_onnx_runs_where_neither_torch_nor_this_project_can_be_imported(
    pristine: Make, checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = parity.trials_of(*whole(checkpoint("pmf")), checkpoint("pmf"))
    cases = {trial.part.name: trial.cases for trial in trials}
    for name in ("torch", "rec_export", "exporters"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "pair_head|real rows" in outputs_of(pristine("pmf"), "onnx", cases)
    with pytest.raises(
        ParityError, match="torchscript/user_tower is not the trained model: it cannot be loaded: not here"
    ):
        outputs_of(pristine("pmf"), "torchscript", cases)


def test_files_say_where_they_came_from_and_not_on_which_machine(pristine: Make, checkpoint: Make) -> None:
    for form in ALL[1:]:  # TorchScript keeps the lines of our source, for its tracebacks
        content = (pristine("pmf") / FILES[form].format("item_tower")).read_bytes()
        assert sha256(checkpoint("pmf") / "weights.safetensors").encode() in content
        assert str(Path(rec_export.__file__).parent).encode() not in content


def test_a_pt2_tower_takes_its_inputs_by_name_in_any_order(pristine: Make, checkpoint: Make) -> None:
    part, _, _ = whole(checkpoint("everything"))[0]
    inputs = example(part.inputs) | {"row": torch.tensor([3, 4, 5]), "history_length": torch.tensor([2, 0, 1])}
    tower = load_tower(pristine("everything"), "user_tower", "pt2", CPU)
    torch.testing.assert_close(tower(dict(reversed(inputs.items()))), part.run(inputs))


def test_a_module_in_training_mode_is_refused(checkpoint: Make) -> None:
    trained = Checkpoint.read(checkpoint("everything"))
    trained.towers.pair_head.get_submodule("dropout").train()
    with pytest.raises(ValueError, match="the first being dropout"):
        parts_of(trained.towers, trained.blueprint)


def test_export_leaves_filters_and_warnings_as_they_were() -> None:
    before = list(warnings.filters)
    with quiet(), undeprecated():
        pass
    assert logging.getLogger("torch.onnx._internal.exporter._registration").filters == []
    assert list(warnings.filters) == before
