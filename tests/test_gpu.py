"""The same on a CUDA device; skipped, with the reason, where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rec_export.topk import Ranker, Seen
from rec_export.topk.caps import Caps
from rec_export.topk.contract import Allowed
from rec_export.topk.ruled import RuledRanker
from rec_export.towers import AdditiveHead, DotHead, Head, ScalarHead
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


@pytest.mark.parametrize("head", [DotHead(), AdditiveHead((12, 8), 4), AdditiveHead((16,), 0), ScalarHead((8,))])
@pytest.mark.parametrize("k", [10, 500])
def test_every_list_is_that_of_the_cpu_bit_for_bit(head: Head, k: int) -> None:
    random = torch.Generator().manual_seed(0)
    user_vec, item_vec = torch.randn(300, 16, generator=random), torch.randn(30_000, 16, generator=random)
    item_vec[20_000:] = item_vec[:10_000]  # so that many items tie
    seen = Seen.of(np.arange(9000) % 300, np.arange(9000) * 3, 300)
    mine, theirs = (
        Ranker(head, item_vec.to(device), device).top_k(user_vec.to(device), k, seen)
        for device in (torch.device("cpu"), torch.device("cuda"))
    )
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(mine, theirs, strict=True))


def test_rules_give_the_same_lists_on_the_gpu() -> None:
    random = torch.Generator().manual_seed(0)
    user_vec, item_vec = torch.randn(20, 8, generator=random), torch.randn(3000, 8, generator=random)
    caps, penalty = (
        Caps(np.arange(3000)[:, None] % 40, np.ones(40, np.int64)),
        np.linspace(0, 1, 3000, dtype=np.float32),
    )
    own = Seen.of(np.arange(60) % 10, np.arange(60) * 7, 20)
    allowed = Allowed(np.arange(20) < 10, own)
    lists = []
    for name in ("cpu", "cuda"):
        device = torch.device(name)
        ruled = RuledRanker(DotHead(), item_vec.to(device), device, penalty=penalty, caps=caps)
        lists.append(ruled.top_k(user_vec.to(device), 50, Seen.none(20), allowed).top)
    assert all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in zip(*lists, strict=True))
