"""A device or provider that is not there is exit code 69 and one line, and a tower gives the same bits anywhere."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.cases import Case
from exporters.fresh import outputs_of
from rec_export.errors import DeviceError
from rec_export.runtime import load_tower
from rec_export.towers import Inputs
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


def test_a_copy_that_the_bundle_does_not_hold_is_named(exported: Path, shop: Path, tmp_path: Path) -> None:
    log = shop / "interactions.parquet"
    code, said, kept = refusal(
        tmp_path, "score", exported, "--interactions", log, "--out", tmp_path / "recs", "--runtime", "onnx-fp16"
    )
    assert (code, kept) == (65, [])
    assert " has no onnx/user_tower.fp16.onnx, as it was not exported for onnx-fp16; choose another runtime\n" in said


class Wide(nn.Module):
    """One layer whose sums are long enough to be cut among threads."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2000, 64)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """float32 [B, 2000] -> float32 [B, 64]."""
        return self.layer(inputs["dense"])


@pytest.fixture
def threads() -> Iterator[None]:
    """The number of threads may be set."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_no_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / "torchscript").mkdir()
    torch.jit.script(Wide()).save(tmp_path / "torchscript" / "user_tower.pt")
    tower = load_tower(tmp_path, "user_tower", "torchscript", torch.device("cpu"))
    inputs: Inputs = {"dense": torch.randn(7, 2000)}
    found = []
    for count in (1, 2, 8):
        torch.set_num_threads(count)
        found.append(tower(inputs))
    assert [torch.equal(found[0], other) for other in found] == [True] * 3
