"""Triton's kernels give the lists of the definition, and compile: each in a process of its own, as Triton asks for."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="there is no Triton here")

CASES = Path(__file__).with_name("on_triton.py")
SHARED = {"sm_80": 99 << 10, "sm_90a": 227 << 10}  # that a program may have; 8.6 and 8.9, which have least, run sm_80
SPILT = 160  # bytes of a thread, in the widest network; the others spill none


def outcomes(interpreted: bool) -> set[str]:
    """What comes of the tests in on_triton.py."""
    which = "not on_a_gpu" if interpreted else ""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", which, str(CASES)]
    environment = os.environ | {"TRITON_INTERPRET": str(int(interpreted))}
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return set(re.findall(r"\d+ (\w+)", ended.stdout.splitlines()[-1].partition(" in ")[0]))


def test_in_the_interpreter_the_kernels_lead_to_the_definition() -> None:
    assert outcomes(interpreted=True) == {"passed", "deselected"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_on_a_gpu_the_kernels_lead_to_the_definition() -> None:
    assert outcomes(interpreted=False) == {"passed"}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["dot-64", "network-64-32-0-0"], marks=pytest.mark.slow),
        pytest.param(["all"], marks=pytest.mark.long),
    ],
)
def test_kernels_compile_for_gpus_that_are_not_there_and_fit_them(names: list[str], tmp_path: Path) -> None:
    """To machine code, by the assembler that Triton has; with tensor cores, and hardly a register spilt."""
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    words = [sys.executable, "-m", "tests.rec_export.topk.ahead", *names]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    made = [json.loads(line) for line in said.splitlines()]
    cores = {(one["arch"], *one["by"]) for one in made if one["products"]}
    assert cores == {("sm_80", "mma.sync"), ("sm_90a", "wgmma.mma_async")}
    assert all(one["cubin"] > 0 and one["spilt"] <= SPILT and one["shared"] <= SHARED[one["arch"]] for one in made)
