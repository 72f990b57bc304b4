"""Where to compute."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rec_export.errors import DeviceError

FEW_CORES = 2


def device_of(name: str) -> torch.device:
    """The torch device of "auto", "cpu", "cuda" or "cuda:1". Raises DeviceError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"there is no device {name!r}; use auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"the device {name!r} is not supported; use auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"the device {name!r} is not available here ({torch.cuda.device_count()} CUDA devices); use --device cpu"
        )
    return device


@contextmanager
def training_threads() -> Iterator[None]:
    """Train with one thread on a machine of one or two cores, if the environment does not say otherwise.

    Batches are small: there two threads wait for each other longer than they compute (figures in docs/decisions.md).
    """
    before = torch.get_num_threads()
    if (os.cpu_count() or 1) <= FEW_CORES and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
