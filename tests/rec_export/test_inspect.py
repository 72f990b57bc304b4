"""`inspect` tells what a path is, once its hashes are those that were written, and without torch."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from rich.console import Console

from rec_export import cli
from rec_export.errors import ModelError
from rec_export.files import sha256
from rec_export.inspection.look import look
from rec_export.inspection.models import lists
from rec_export.inspection.shown import plain
from tests.conftest import LAST_DAY, command, done, refusal
from tests.made_up_run import made_up_run

ROOT = Path(cli.__file__).parents[1]
NO_TORCH = "import sys; sys.modules['torch'] = None; from rec_export.cli import run; sys.exit(run(sys.argv[1:]))"
FORMS = "onnx/user_tower.onnx", "torchscript/user_tower.pt", "pt2/user_tower.pt2"


def told(*arguments: object) -> dict[str, Any]:
    """What `inspect --json` says, in a process that cannot import torch."""
    command = [sys.executable, "-c", NO_TORCH, "inspect", *map(str, arguments), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    facts: dict[str, Any] = json.loads(answer.stdout)
    return facts


def rows(text: str, title: str) -> list[list[str]]:
    """The cells of one table of the plain text, by two or more spaces."""
    section = text.split(f"\n{title}\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip().split("  ") if cell] for line in section.splitlines()]


def test_a_bundle_is_told_whole(exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    files = len(manifest["files"])
    assert told(exported) == {
        "kind": "bundle",
        "path": str(exported),
        "verified": f"{files} files by the sha256 in manifest.json, which manifest.sha256 seals",
        "manifest": manifest,
    }
    text = done("inspect", exported)
    assert ["user_tower", "in", "history", "int64[B,L]", "-1"] in [row[:5] for row in rows(text, "Inputs and outputs")]
    assert ["least onnxruntime", "1.26"] in rows(text, "Bundle")
    assert len(rows(text, "Files")) == files + 1


def test_a_checkpoint_is_told_whole(trained: Path) -> None:
    facts = told(trained)
    spec = json.loads((trained / "spec.json").read_text())
    assert (facts["kind"], facts["spec"]) == ("checkpoint", spec)
    assert facts["weights"]["numbers"] == json.loads((trained / "metrics.json").read_text())["parameters"] + buffers(
        trained
    )
    assert ["name", "hybrid"] in rows(done("inspect", trained), "Model")


def buffers(checkpoint: Path) -> int:
    """The numbers of a checkpoint that are not learned: the table of histories, medians, means and deviations."""
    from rec_export.checkpoint import Checkpoint, modules

    roof = modules(Checkpoint.read(checkpoint).towers)
    return sum(value.numel() for value in roof.state_dict().values()) - sum(w.numel() for w in roof.parameters())


def test_a_read_root_and_a_run_are_told_whole(scored: Path) -> None:
    (manifest,) = (scored.with_name("recs.control") / "manifests").rglob("*.json")
    written = json.loads(manifest.read_text())
    assert told(scored)["runs"] == {LAST_DAY: written}
    assert told(scored / f"run_date={LAST_DAY}")["manifest"] == written
    assert rows(done("inspect", scored), "Dates")[1][:2] == [LAST_DAY, written["run_id"]]


@pytest.mark.parametrize("inner", ["", "run_date=2026-11-20"])
def test_a_run_that_the_gates_refused_is_told_and_no_bundle(inner: str, tmp_path: Path) -> None:
    kept = refused_run(tmp_path)
    facts = told(kept / inner)
    written = json.loads((kept / "manifest.json").read_text())
    assert (facts["kind"], facts["manifest"]) == ("refused run", written)
    flip(next(kept.rglob("*.parquet")))
    said = (
        "Error: 1 of 1 parts in DIR/run_date=2026-11-20 are not what was written, the first being"
        " part-00000-of-00001-000000000001.parquet; make the run again\n"
    )
    assert refusal(kept, "inspect", kept / inner) == (65, said, [])


def test_a_run_is_no_bundle_to_verify_and_no_read_root_to_status(tmp_path: Path) -> None:
    kept = refused_run(tmp_path)
    assert [refusal(kept, word, kept)[:2] for word in ("verify", "status")] == [
        (2, "Error: DIR is a run that the gates refused, and no bundle; `rec-export inspect` shows it\n"),
        (66, "Error: DIR is a run that the gates refused, and no read root; name the --out of `score` or `nightly`;"
             " `rec-export inspect DIR` looks at this\n"),
    ]  # fmt: skip


def refused_run(folder: Path) -> Path:
    """A run as it is kept when the gates refuse it."""
    kept = folder / "recs.control" / "failed" / f"{1:012x}"
    parts = kept / "run_date=2026-11-20"
    parts.mkdir(parents=True)
    made_up_run(parts, "2026-11-20", number=1, parts=1, users=3).write(kept / "manifest.json")
    return kept


@pytest.mark.parametrize("name", FORMS)
def test_an_exported_file_is_told_alone_and_in_its_bundle(name: str, exported: Path, tmp_path: Path) -> None:
    lone = tmp_path / Path(name).name
    shutil.copyfile(exported / name, lone)
    inside, alone = told(exported / name), told(lone)
    signature = json.loads((exported / "manifest.json").read_text())["signatures"]["user_tower"]
    assert {key: inside[key] for key in ("inputs", "outputs")} == signature
    assert (inside["verified"] is None, alone["verified"]) == (False, None)
    assert alone["labels"]["rec_export.weights_sha256"] == sha256(exported / "weights.safetensors")
    if name != FORMS[1]:  # TorchScript takes one dictionary
        assert [(port["name"], port["dtype"]) for port in alone["inputs"]] == [
            (port["name"], port["dtype"]) for port in signature["inputs"]
        ]


@pytest.mark.parametrize("name", ["onnx/user_tower.onnx", "weights.safetensors"])
def test_a_bundle_with_a_flipped_byte_is_refused(name: str, bundle_copy: Path, tmp_path: Path) -> None:
    flip(bundle_copy / name)
    assert refusal(tmp_path, "inspect", bundle_copy).code == 65
    if name.endswith(".onnx"):
        said = f"Error: DIR/bundle/{name} is not what was exported; restore it or export again\n"
        assert refusal(tmp_path, "inspect", bundle_copy / name).err == said


@pytest.mark.parametrize("name", ["weights.safetensors", "items.parquet"])
def test_a_checkpoint_with_a_flipped_byte_is_refused(name: str, trained: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    flip(copy / name)
    assert refusal(tmp_path, "inspect", copy) == (
        65,
        "Error: 1 files of the checkpoint DIR/checkpoint are missing or not what was written, the first being"
        f" {name}; restore them or train again\n",
        [],
    )


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("inside", ["weight", "constant"])
@pytest.mark.parametrize("place", ["/etc/hostname", "../outside", "missing", "link", "second name"])
def test_weights_that_do_not_lie_beside_their_file_are_refused(place: str, inside: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "outside").write_bytes(bytes(4))
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "second name").hardlink_to(tmp_path / "outside")
    weight = onnx.TensorProto(name="weight", data_type=onnx.TensorProto.FLOAT, dims=[1])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=place)
    constant = onnx.helper.make_node("Constant", [], ["weight"], value=weight)
    taken = onnx.helper.make_node("Identity", ["weight"], ["given"])
    given = onnx.helper.make_tensor_value_info("given", onnx.TensorProto.FLOAT, [1])
    nodes, weights = ([taken], [weight]) if inside == "weight" else ([constant, taken], [])
    graph = onnx.helper.make_graph(nodes, "graph", [], [given], weights)
    path = folder / "tower.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match=r"is not valid ONNX: .*; export the model again"):
        look(path)


@pytest.mark.parametrize("how", ["encrypted", "deep"])
def test_an_archive_that_cannot_be_unpacked_is_one_clear_line(how: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt2"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/models/model.json", "[" * 100_000 if how == "deep" else "{}")
    if how == "encrypted":
        content = path.read_bytes()
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # where the flags are
            at = content.index(mark) + place
            content = content[:at] + bytes([content[at] | 1]) + content[at + 1 :]
        path.write_bytes(content)
    code, _, err = command("inspect", path)
    assert (code, err.count("\n"), "is a damaged archive: " in err) == (65, 1, True), err


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "weights.pt")
    assert refusal(tmp_path, "inspect", tmp_path / "weights.pt") == (
        65,
        "Error: DIR/weights.pt is a pickle or another archive, which loading would run; it was not opened\n",
        [],
    )


def damaged(folder: Path) -> list[tuple[str, int]]:
    """Things that are not what their names say, with the exit code of each."""
    (folder / "empty.onnx").touch()
    (folder / "noise.onnx").write_bytes(b"\xff" * 50)
    (folder / "text.txt").write_text("text")
    (folder / "nothing").mkdir()
    (folder / "spec").mkdir()
    (folder / "spec" / "spec.json").write_text('{"format": 1}')
    (folder / "old").mkdir()
    (folder / "old" / "spec.json").write_text('{"format": 0}')
    (folder / "list").mkdir()
    (folder / "list" / "spec.json").write_text("[]")
    with zipfile.ZipFile(folder / "bad.pt2", "w") as file:
        file.writestr("archive/models/model.json", '{"graph_module": 3}')
    return [("empty.onnx", 65), ("noise.onnx", 65), ("text.txt", 2), ("nothing", 2), ("spec", 65), ("old", 65),
            ("list", 65), ("bad.pt2", 65), ("absent", 66)]  # fmt: skip


def test_what_rec_export_did_not_write_is_one_clear_line(tmp_path: Path) -> None:
    codes = damaged(tmp_path)
    answers = [command("-q", "inspect", tmp_path / name) for name, _ in codes]
    assert [answer.code for answer in answers] == [code for _, code in codes]
    assert [answer.err.count("\n") for answer in answers] == [1] * len(codes)


def test_what_a_manifest_lacks_is_named(bundle_copy: Path, tmp_path: Path) -> None:
    path = bundle_copy / "manifest.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "files"}))
    (bundle_copy / "manifest.sha256").write_text(f"{sha256(path)}  manifest.json\n")
    code, said, _ = refusal(tmp_path, "inspect", bundle_copy)
    assert (code, said.endswith("(it lacks 'files'); make it again\n")) == (65, True), said


def test_a_terminal_gets_tables_and_no_escapes_of_strangers(exported: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=150, record=True)
    look(exported).show(console)
    assert "Inputs and outputs" in console.export_text()
    assert plain("\x1b[31m[bold]red\n\nletters") == "?[31m[bold]red letters"


@pytest.mark.parametrize(("name", "said"), [("onnx/item_features", ""), ("onnx/recommender", "the same, up to ties")])
def test_graphs_of_features_make_no_lists(name: str, said: str) -> None:
    assert lists({"artefact": name, "same_lists": True}) == said
