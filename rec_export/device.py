"""Where to compute."""

import torch

from rec_export.errors import DeviceError


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
