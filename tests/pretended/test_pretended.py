"""On a device that is not the CPU every tensor is where it should be: what comes out has the bits of the CPU.

The device is pretended (device.py), as there is none here; tests/test_gpu.py asks a real one.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import LAST_DAY, done, read_lists

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LESSONS = {
    "gated": ["model={name: gated}"],
    "bags": ["model={name: gated}", "data.split.by=random"],
    "drawn": ["training.candidates=32", "training.negatives=popular", "training.row_wise=1"],
    "hidden": ["model={name: hybrid, hidden: [16]}", "training.negatives=batch", "training.loss=bce"],
    "values": ["model={name: ncf}", "training.loss=mse", "training.target=log"],
    "seeds": ["model={name: pmf, dim: 4}", "training.seeds=2", "training.loss=bpr"],
    "half": ["model={name: pmf, dim: 4}", "training.precision=bfloat16"],  # only a GPU knows it
}
BRIEF = "training.epochs=1", "training.refit=false"


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cuda.cpp, compiled."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ here to compile what says that a device is there")
    made, torch_home = tmp_path_factory.mktemp("shim") / "cuda.so", Path(torch.__file__).parent
    flags = "-std=c++20", "-shared", "-fPIC", f"-I{torch_home / 'include'}", f"-L{torch_home / 'lib'}"
    done = subprocess.run(
        [compiler, *flags, HERE / "cuda.cpp", "-o", made, "-lc10", "-ltorch_cpu"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def both(shim: Path, trained: Path, exported: Path, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the same commands have left on the device, in `cuda`, and on the CPU, in `cpu`."""
    place = tmp_path_factory.mktemp("both")

    def commands(device: str) -> Iterator[list[object]]:
        for name, changes in LESSONS.items():
            sets = (word for change in (*BRIEF, *changes) for word in ("--set", change))
            yield ["train", shop / "config.yaml", "--device", device, "--out", place / device / name, *sets]
        judge = "evaluate", trained, "--test", shop / "future.parquet", "--bootstrap", 100, "--negatives", 20
        yield [*judge, "--device", device, "--out", place / device / "ev"]
        score = "score", exported, "--interactions", shop / "interactions.parquet", "--runtime", "pt2"
        yield [*score, "--run-date", LAST_DAY, "--device", device, "--out", place / device / "recs"]

    words = json.dumps([[str(word) for word in one] for one in commands("cuda")])
    ended = subprocess.run(
        [sys.executable, "-m", "tests.pretended.run", shim], input=words, capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert {code for code, _ in told} == {0}, ended.stderr[-5000:]
    assert min(operations for _, operations in told) > 100  # the device took part in each
    for one in commands("cpu"):
        done(*one)
    return place


def test_the_pretended_device_refuses_what_a_real_one_does(shim: Path) -> None:
    program = f"""
from tests.pretended.run import load
load({str(shim)!r})
import torch
from tests.pretended.device import in_force, install
install()
def refused(what):
    try:
        what()
    except RuntimeError:
        return True
with in_force():
    one, other = torch.ones(3, device="cuda"), torch.ones(3)
    print(one.device, refused(lambda: one + other), refused(one.numpy), (one + other.to("cuda")).sum().item())
    print(refused(lambda: other[one.long()]), one[other.long()].device, refused(lambda: torch.cat([one, other])))
    print(refused(lambda: one.index_put((other.long(),), other)), refused(lambda: torch.stack([one[0], other[0]])))
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert said.stdout.splitlines() == ["cuda:0 True True 6.0", "True cuda:0 True", "True True"], said.stderr[-3000:]


@pytest.mark.parametrize("name", [name for name in LESSONS if name != "half"])
def test_a_training_has_the_weights_of_the_cpu(name: str, both: Path) -> None:
    one, other = (both / device / name / "weights.safetensors" for device in ("cpu", "cuda"))
    assert one.read_bytes() == other.read_bytes()


def test_an_evaluation_is_that_of_the_cpu(both: Path) -> None:
    one, other = (both / device / "ev" / "evaluation.json" for device in ("cpu", "cuda"))
    assert one.read_text() == other.read_text()


def test_lists_are_those_of_the_cpu(both: Path) -> None:
    assert read_lists(both / "cpu" / "recs").equals(read_lists(both / "cuda" / "recs"))
