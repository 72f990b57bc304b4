"""A device or provider that was asked for and is not there is exit code 69 and one line, never the CPU instead."""

from pathlib import Path

import numpy as np
import pytest
import torch

from exporters.cases import Case
from exporters.fresh import outputs_of
from rec_export.errors import DeviceError
from rec_export.runtime import load_tower
from tests.conftest import refusal

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
NONE_HERE = "Error: the device 'cuda' is not available here (0 CUDA devices); use --device cpu\n"


@pytest.mark.parametrize("runtime", ["torchscript", "onnx", "pt2"])
def test_score_refuses_a_device_that_is_not_there(runtime: str, exported: Path, shop: Path, tmp_path: Path) -> None:
    log = shop / "interactions.parquet"
    options = ["--interactions", log, "--out", tmp_path / "recs", "--runtime", runtime, "--device", "cuda"]
    assert refusal(tmp_path, "score", exported, *options) == (69, NONE_HERE, [])


def test_verify_refuses_it_too(exported: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path, "verify", exported, "--device", "cuda") == (69, NONE_HERE, [])


def test_a_provider_that_does_not_load_is_refused_where_torch_has_the_device(
    exported: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = r"ONNX Runtime has no CUDAExecutionProvider here \(it has CPUExecutionProvider\); use --device cpu"
    with pytest.raises(DeviceError, match=said):
        load_tower(exported, "user_tower", "onnx", torch.device("cuda"))
    with pytest.raises(DeviceError, match=said):
        outputs_of(exported, "onnx", {"item_tower": [Case("one", {"row": np.zeros(1)})]}, "cuda")
    assert capfd.readouterr() == ("", "")  # of ONNX Runtime's own two lines in colours
