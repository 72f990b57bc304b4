"""The commands say what was proved, in lines that a person reads or JSON that a machine reads."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import exporters
from exporters.commands import export, onnx, pt2, torchscript, verify
from tests.conftest import command
from tests.exporters.conftest import Make

ROOT = Path(exporters.__file__).parents[1]
EXPORTED = r"""user_tower   torchscript   row int64\[B\] -> float32\[B,42\]
item_tower   torchscript   row int64\[N\] -> float32\[N,42\]
pair_head    torchscript   user_vec float32\[B,42\], item_vec float32\[N,42\] -> float32\[B,N\]
\[ok\] torchscript/user_tower  25 cases, 0..1,000 rows, worst difference \S+
\[ok\] torchscript/item_tower  25 cases, 0..1,000 rows, worst difference \S+
\[ok\] torchscript/pair_head   11 cases, 0..40 rows, worst difference \S+
\[ok\] torchscript lists      40 users x 130 items, K 1, 10, 100: the same items in the same order
bundle: \S+ \(16 files, \d.\d MB\)
"""


def test_torchscript_says_what_was_proved(checkpoint: Make, tmp_path: Path) -> None:
    result = CliRunner().invoke(torchscript, [str(checkpoint("pmf")), "--out", str(tmp_path / "bundle")])
    assert re.fullmatch(EXPORTED, result.output), result.output


def test_an_opset_without_an_onnx_file_is_refused(checkpoint: Make, tmp_path: Path) -> None:
    words = str(checkpoint("pmf")), "--out", str(tmp_path / "bundle"), "--format", "torchscript", "--opset", "18"
    result = CliRunner().invoke(export, words)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "--opset is that of the ONNX files; add --format onnx" in result.output


def test_json_is_the_parity_of_the_manifest(checkpoint: Make, tmp_path: Path) -> None:
    result = CliRunner().invoke(torchscript, [str(checkpoint("pmf")), "-o", str(tmp_path / "bundle"), "--json"])
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert json.loads(result.stdout) == manifest["parity"]


def test_verify_says_what_was_proved(pristine: Make) -> None:
    lines = CliRunner().invoke(verify, [str(pristine("pmf"))]).output.splitlines()
    assert lines[0].startswith("[ok] 22 files are what was exported at 20")
    assert lines[-5:-2] == [
        f"[ok] {form + ' lists':<22} 40 users x 130 items, K 1, 10, 100: the same items in the same order"
        for form in ("torchscript", "onnx", "pt2")
    ]
    assert lines[-2].startswith("[ok] onnx/recommender        37 cases, ")
    assert lines[-1] == f"{pristine('pmf')} computes on this machine what was trained, as torchscript, onnx and pt2"


@pytest.mark.slow
def test_onnx_prints_nothing_of_torch_on_the_terminal(checkpoint: Make, tmp_path: Path) -> None:
    program = "import sys; from exporters.commands import onnx; onnx(sys.argv[1:])"
    command = [sys.executable, "-c", program, str(checkpoint("pmf")), "--out", str(tmp_path / "bundle")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 11


@pytest.mark.parametrize("command", [export, onnx, pt2, torchscript, verify])
def test_help_does_not_wait_for_torch(command: object) -> None:
    name = getattr(command, "name", "")
    program = f"import sys; from exporters.commands import {name}; {name}(['--help'], standalone_mode=False)"
    program += "; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert said.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("limit", ["nan", "inf", "-1", "0"])
def test_a_limit_that_is_no_time_is_a_slip(limit: str, trained: Path, tmp_path: Path) -> None:
    assert command("-q", "export", trained, "--out", tmp_path / "bundle", "--limit", limit).code == 2
