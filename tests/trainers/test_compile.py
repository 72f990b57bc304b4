"""Faster arithmetic while learning: the towers compiled, and products in bfloat16."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import done

CHANGES = (
    *("model.dim=4", "training.epochs=2", "training.refit=false", "training.id_dropout=0", "model.dropout=0"),
    "training.timeless=0",  # the second model is compiled as the first is, which takes half a minute
)


def train(shop: Path, out: Path, *changes: str) -> dict[str, torch.Tensor]:
    """The weights of a short training."""
    done("train", shop / "config.yaml", "--out", out, *(w for c in (*CHANGES, *changes) for w in ("--set", c)))
    return load_file(out / "weights.safetensors")


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest relative distance of two weights of the same name."""
    return max(float((one[n] - other[n]).norm() / one[n].norm().clamp(min=1e-3)) for n in one)


def test_bfloat16_learns_nearly_the_same_in_float32_weights(shop: Path, tmp_path: Path) -> None:
    whole, half = train(shop, tmp_path / "a"), train(shop, tmp_path / "b", "training.precision=bfloat16")
    assert {weight.dtype for weight in half.values()} == {weight.dtype for weight in whole.values()}
    assert 0 < apart(whole, half) < 0.2


# The history's vectors are an attribute that is no leaf; torch looks at its gradient and warns itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.slow
@pytest.mark.parametrize("model", ["hybrid", "gated"])
def test_compiled_towers_learn_the_same_and_are_not_compiled_for_each_batch(
    model: str, shop: Path, tmp_path: Path
) -> None:
    with torch._dynamo.config.patch(recompile_limit=2, fail_on_recompile_limit_hit=True):
        compiled = train(shop, tmp_path / "b", f"model.name={model}", "training.compile=true")
    assert apart(train(shop, tmp_path / "a", f"model.name={model}"), compiled) < 1e-2


@pytest.mark.slow
def test_without_a_compiler_there_is_one_line(shop: Path, tmp_path: Path) -> None:
    words = ["train", str(shop / "config.yaml"), "--out", str(tmp_path / "out"), "--set", "training.compile=true"]
    environment: dict[str, Any] = {**os.environ, "CXX": "/nowhere/g++", "PATH": str(Path(sys.executable).parent)}
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path / "cache")
    words += ["--set", "model={name: pmf, dim: 4}"]  # quickly at the compiler; what is compiled is of no matter
    program = "import sys; from rec_export.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", program, "-q", *words], capture_output=True, text=True, env=environment)
    assert ran.returncode == 78
    assert ran.stderr.startswith("Error: torch.compile does not work here (InvalidCxxCompiler")
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert json.dumps(sorted(os.listdir(tmp_path))) == '["cache"]'
