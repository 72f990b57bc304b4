"""An AOTInductor package is compiled where a compiler is, proved like other formats, and refused on other machines."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from torch import Tensor, nn

from exporters.aoti import widen
from exporters.job import ExportJob, run, those_for
from rec_export import aoti
from rec_export.bundle import Bundle
from rec_export.errors import DeviceError, EnvironmentMissingError, ModelError
from rec_export.runtime import load_tower
from tests.conftest import command, done
from tests.exporters.conftest import Make, whole

CPU = torch.device("cpu")


class Product(nn.Module):
    """Sums of vectors, as of a history."""

    def forward(self, weight: Tensor, vectors: Tensor) -> Tensor:
        """float32 [B, R, L], float32 [B, L, D] -> float32 [B, R, D]."""
        return torch.bmm(weight, vectors)


def package(path: Path, **labels: str) -> Path:
    """What looks like a package, with these labels."""
    with ZipFile(path, "w") as file:
        file.writestr("tower/data/aotinductor/model/abc.wrapper_metadata.json", json.dumps(labels))
    return path


def test_a_package_of_this_machine_is_taken(tmp_path: Path) -> None:
    aoti.check_machine(package(tmp_path / "tower.pt2", **aoti.machine()))


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        (aoti.TORCH, "1.0", f"was compiled for torch 1.0, and this is torch {torch.__version__}; use another runtime"),
        (aoti.SYSTEM, "sunos sparc", "compiled for sunos sparc, and this is "),
        (aoti.PROCESSOR, "abacus", "compiled for a processor with abacus, which is one of 1 things this one lacks; "),
    ],
)
def test_one_of_another_machine_is_refused_in_a_line(label: str, value: str, said: str, tmp_path: Path) -> None:
    path = package(tmp_path / "tower.pt2", **aoti.machine() | {label: value})
    with pytest.raises(EnvironmentMissingError, match=re.escape(said)) as error:
        aoti.check_machine(path)
    assert error.value.exit_code == 78


def test_what_is_no_package_is_told(tmp_path: Path) -> None:
    (tmp_path / "tower.pt2").write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"tower\.pt2 is not an AOTInductor package; export the model again"):
        aoti.labels_of(tmp_path / "tower.pt2")


@pytest.mark.parametrize("rows", [1, 3])
def test_a_product_of_one_row_is_made_of_two_and_gives_the_same(rows: int) -> None:
    weight, vectors = torch.randn(4, rows, 5), torch.randn(4, 5, 6)
    users, items = torch.export.Dim("B"), torch.export.Dim("L")
    axes = {0: users, 2: items}, {0: users, 1: items}
    program = torch.export.export(Product(), (weight, vectors), dynamic_shapes=axes)
    widen(program.graph)
    assert [node.target for node in program.graph.nodes].count(torch.ops.aten.cat.default) == (rows == 1)
    for size, length in ((4, 5), (1, 0), (0, 3)):
        call = torch.randn(size, rows, length), torch.randn(size, length, 6)
        torch.testing.assert_close(program.module()(*call), torch.bmm(*call))


def test_on_a_gpu_the_other_formats_are_proved_and_the_packages_left_out_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert those_for("cpu", ("aoti", "onnx"), Path("bundle")) == ["onnx", "aoti"]
    assert caplog.messages == []
    assert those_for("cuda", ("aoti", "onnx"), Path("bundle")) == ["onnx"]
    assert caplog.messages == ["aoti was compiled for the CPU and is not tried on cuda; verify it with --device cpu"]
    with pytest.raises(
        DeviceError, match="bundle holds AOTInductor packages alone, which run on the CPU; use --device"
    ):
        those_for("cuda", ("aoti",), Path("bundle"))


def test_without_a_compiler_it_is_one_line_before_anything_is_written(checkpoint: Make, tmp_path: Path) -> None:
    words = "-q", "export", str(checkpoint("pmf")), "--out", str(tmp_path / "bundle"), "--format", "aoti"
    environment = {**os.environ, "CXX": "nowhere-g++"}
    done = subprocess.run(
        [sys.executable, "-m", "rec_export.cli", *words], capture_output=True, text=True, env=environment
    )
    said = "Error: an AOTInductor package needs a C++ compiler, and there is none here; install g++, "
    assert (done.returncode, done.stderr.startswith(said), len(done.stderr.splitlines())) == (78, True, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler here")
def test_it_is_proved_inspected_and_run_like_the_others(checkpoint: Make, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    manifest = run(ExportJob(checkpoint=checkpoint("pmf"), out=folder, formats=("aoti",)))
    assert {one.artefact for one in manifest.parity} == {
        f"aoti/{part}" for part in ("user_tower", "item_tower", "pair_head")
    }
    assert "aoti runs on" in manifest.versions
    assert "aoti runs on" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "AOTInductor package" in done("inspect", folder / "aoti/item_tower.pt2")
    _, item, _ = whole(checkpoint("pmf"))[0]
    rows = {"row": torch.tensor([-1, 0, 5, 2**40])}
    torch.testing.assert_close(load_tower(folder, "item_tower", "aoti", CPU)(rows), item.run(rows))
    assert Bundle.read(folder).manifest.runtimes == ("aoti",)
    assert command("-q", "verify", folder).code == 0
