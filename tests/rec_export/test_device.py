"""Where to compute, and with how many threads."""

import os

import pytest
import torch

from rec_export.device import device_of, training_threads
from rec_export.errors import DeviceError


@pytest.mark.parametrize(("cores", "given", "threads"), [(2, None, 1), (1, None, 1), (8, None, 3), (2, "2", 3)])
def test_few_cores_train_with_one_thread_unless_told_otherwise(
    cores: int, given: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    torch.set_num_threads(3)
    try:
        with training_threads():
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["mps", "cuda:99", "gpu"])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=r"use |--device cpu"):
        device_of(name)
