"""The promises of docs/security.md that no other test holds."""

import ast
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from rec_export.config import Config
from rec_export.data.read import read_table
from rec_export.errors import ModelError
from rec_export.runtime import onnx_session
from tests.batch_jobs.conftest import LAST, configured, night, place
from tests.conftest import Tell, command, config_file, contents, refusal

__all__ = ["place"]
ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path for name in ("rec_export", "trainers", "exporters", "batch_jobs") for path in (ROOT / name).rglob("*.py")
]
FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "ray.data"}


def imports(tree: ast.Module) -> set[str]:
    """The modules that a source imports."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_unpickles_evaluates_or_reads_yaml_loosely(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    given = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert imports(tree) & FORBIDDEN == set()
    assert (
        called & {"eval", "exec", "torch.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"} == set()
    )
    assert given & {"shell=True", "weights_only=False", "allow_pickle=True"} == set()


def onnx_file(folder: Path, location: str) -> Path:
    """A model whose one weight lies in another file."""
    folder.mkdir()
    weight = onnx.numpy_helper.from_array(np.zeros((4,), np.float32), "w")
    weight.data_location = TensorProto.EXTERNAL
    weight.ClearField("raw_data")
    weight.external_data.add(key="location", value=location)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


@pytest.mark.parametrize("how", ["above", "absolute", "link", "second name", "device"])
def test_weights_of_an_onnx_file_that_lie_elsewhere_are_refused(how: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"\0" * 16)
    locations = {"above": "../outside", "absolute": str(outside), "device": "/dev/zero"}
    path = onnx_file(tmp_path / "model", locations.get(how, "inside"))
    if how == "link":
        (path.parent / "inside").symlink_to(outside)
    elif how == "second name":
        os.link(outside, path.parent / "inside")
    with pytest.raises(ModelError, match="is not an ONNX file that onnxruntime"):
        onnx_session(path, "CPUExecutionProvider")


def test_weights_of_an_onnx_file_beside_it_are_read(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "model", "inside")
    (path.parent / "inside").write_bytes(b"\0" * 16)
    session = onnx_session(path, "CPUExecutionProvider")
    assert session.run(None, {"x": np.ones(4, np.float32)})[0].tolist() == [1, 1, 1, 1]


def test_an_extension_type_of_a_parquet_file_runs_no_code(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload = f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode()
    marks = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": payload}
    field = pa.field("user_id", pa.string(), metadata=marks)
    pq.write_table(pa.table({"user_id": ["a"]}, schema=pa.schema([field])), tmp_path / "log.parquet")
    assert read_table(tmp_path / "log.parquet", ["user_id"])["user_id"].to_pylist() == ["a"]
    assert not canary.exists()


@pytest.mark.parametrize(
    "hostile",
    [
        "../../x",
        "2026-11-20/../../x",
        ";rm -rf x",
        "2026-11-20\n",
        "9" * 300,
        "\u0662\u0660\u0662\u0666-\u0661\u0661-\u0662\u0660",
    ],
)
def test_a_hostile_date_or_run_makes_no_file(hostile: str, scored: Path, tell: Tell) -> None:
    before = contents(scored.parent)
    words = "--run-date", hostile
    assert command("status", scored).code == 0
    assert command("rollback", scored, *words).code in (2, 66)
    assert command("rollback", scored, "--to", hostile).code == 66
    assert command("verify-run", scored, *words).code in (2, 66)
    kept = contents(scored.parent) == before
    what = f"the date or run {hostile[:20]!a}, asked of `rollback` and `verify-run`"
    tell(what, "3", f"refused, {'no file' if kept else 'a file'} made or changed")
    assert kept


def test_a_bundle_that_names_files_outside_itself_is_refused(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    from rec_export.files import sha256

    (tmp_path / "outside").write_text("x")
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    manifest["files"].append({"path": "../outside", "bytes": 1, "sha256": sha256(tmp_path / "outside")})
    (bundle_copy / "manifest.json").write_text(json.dumps(manifest))
    (bundle_copy / "manifest.sha256").write_text(f"{sha256(bundle_copy / 'manifest.json')}  manifest.json\n")
    words = "--interactions", shop / "interactions.parquet", "--out", tmp_path / "recs"
    answer = command("-q", "score", bundle_copy, *words)
    assert (answer.code, "missing, the first being ../outside" in answer.err) == (65, True)


def resealed(bundle: Path, **changed: int) -> None:
    """Let the manifest of a bundle, and its seal, tell of other sizes of its weights."""
    from rec_export.files import sha256

    manifest = json.loads((bundle / "manifest.json").read_text())
    for file in manifest["files"]:
        file["bytes"] = changed["weights"] if file["path"] == "weights.safetensors" else file["bytes"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "manifest.sha256").write_text(f"{sha256(bundle / 'manifest.json')}  manifest.json\n")


@pytest.mark.parametrize(
    ("size", "code", "said"),
    [
        (10**15, 69, "weights.safetensors in the bundle DIR/bundle holds 1,000,000,000,000,000 bytes, but only"),
        (7, 65, "1 file of the bundle DIR/bundle is not what was exported, the first being weights.safetensors"),
    ],
)
def test_a_file_too_large_for_the_memory_or_of_another_size_is_refused_unread(
    size: int, code: int, said: str, bundle_copy: Path, shop: Path, tmp_path: Path
) -> None:
    resealed(bundle_copy, weights=size)
    words = "--interactions", shop / "interactions.parquet", "--out", tmp_path / "recs"
    answer = refusal(tmp_path, "score", bundle_copy, *words)
    assert (answer.code, said in answer.err, answer.changed) == (code, True, [])


def test_another_bundle_than_the_one_that_is_expected_is_refused(place: Path, exported: Path) -> None:
    expected = (exported / "manifest.sha256").read_text().split()[0]
    other = expected[::-1]
    said = night(place, LAST, "--expect-model-sha256", other, code=65).err
    assert f"has the sha256 {expected}, but should have {other}" in said
    assert not (place / "recs").exists()
    configured(place, exported, expect_model_sha256=expected)
    night(place, LAST)
    configured(place, exported, expect_model_sha256=other)
    night(place, LAST, code=65)  # though it is published


def test_what_is_dumped_of_a_configuration_holds_no_secret(tmp_path: Path) -> None:
    gates = {"command": "check --token CANARY https://me:CANARY@example.org"}
    nightly = {"bundle": "b", "out": "recs", "ping": "https://example.org/CANARY", "gates": gates}
    path = config_file(tmp_path, data={"interactions": {"path": "x"}}, nightly=nightly)
    assert "command: check --token *** https://***@example.org" in Config.load(path).dump()
    assert "CANARY" not in Config.load(path).dump()


def test_a_linked_file_in_a_bundle_is_refused(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    path = bundle_copy / "onnx" / "user_tower.onnx"
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    words = "--interactions", shop / "interactions.parquet", "--out", tmp_path / "recs"
    assert command("-q", "score", bundle_copy, *words).code == 65


def test_a_night_says_no_ids_even_when_it_fails(place: Path) -> None:
    users = pd.read_parquet(place / "users.parquet")
    users.assign(user_id="CANARY").to_parquet(place / "users.parquet")
    answer = command("--log-format", "json", "nightly", place / "config.yaml", "--run-date", LAST)
    assert (answer.code, "the first being (not shown; `rec-export score` shows it)" in answer.err) == (65, True)
    kept = {path: text for path, text in contents(place / "recs.control").items() if text and b"CANARY" in text}
    assert ("CANARY" in answer.err, kept) == (False, {})


def test_a_night_that_goes_well_says_no_ids(place: Path) -> None:
    log = pd.read_parquet(place / "interactions.parquet")
    log.assign(user_id="CANARY" + log.user_id.astype(str)).to_parquet(place / "interactions.parquet")
    answer = night(place, LAST, "--force-gate", "unknown_users", "--reason", "all users are new")
    told = [text for text in contents(place / "recs.control").values() if text and b"CANARY" in text]
    assert ("CANARY" in answer.err + answer.out, told) == (False, [])
