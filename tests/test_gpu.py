"""The same on a CUDA device; skipped, with the reason, where there is none."""

from pathlib import Path

import pytest
import torch

from tests.conftest import config_file, done, read_lists

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]


@pytest.mark.parametrize("runtime", ["torchscript", "onnx", "pt2"])
def test_lists_made_on_the_gpu_are_those_of_the_cpu(runtime: str, exported: Path, shop: Path, tmp_path: Path) -> None:
    lists = []
    for device in ("cpu", "cuda"):
        options = ["--device", device, "--runtime", runtime, "--out", tmp_path / device, "--run-date", "2026-10-31"]
        done("score", exported, "--interactions", shop / "interactions.parquet", *options)
        lists.append(read_lists(tmp_path / device).select(["user_id", "rank", "item_id"]).to_pandas())
    same = (lists[0] == lists[1]).all(axis=1).mean()
    assert same > 0.99  # the towers' last bits may differ, and swap neighbours


def test_a_model_trains_on_the_gpu(shop: Path, tmp_path: Path) -> None:
    config = config_file(
        shop, "gpu.yaml", data={"interactions": {"path": str(shop / "interactions.parquet"), "time": "timestamp"}}
    )
    done("train", config, "--device", "cuda", "--set", "training.epochs=1", "--out", tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint" / "spec.json").exists()
