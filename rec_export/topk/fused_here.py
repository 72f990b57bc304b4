"""Whether Triton's kernels run on a device, by trying them, and so which way to the groups' maxima is taken there."""

from functools import cache
from importlib.util import find_spec
from subprocess import CalledProcessError

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.contract import Seen
from rec_export.topk.form import Form
from rec_export.topk.maxima import Maxima, TileMaxima
from rec_export.topk.tiles import chunk_of

CAPABILITY = (8, 0)  # from which on tensor cores know bfloat16 and TF32


def maxima_of(form: Form, item_vec: Tensor) -> Maxima:
    """Triton's kernels where they run and know the head, else torch; item_vec float32 [N, D], on the device to use."""
    if missing(item_vec.device):
        return TileMaxima(form, item_vec)
    from rec_export.topk.fused import fused  # here, as it needs Triton

    return fused(form, item_vec) or TileMaxima(form, item_vec)


@cache
def missing(device: torch.device) -> str:
    """Why Triton's kernels cannot be had on a device; empty where they can. Tried once in a process."""
    if device.type != "cuda":
        return "Triton's kernels need a CUDA device"
    if find_spec("triton") is None:
        return "triton is not installed"
    if torch.cuda.get_device_capability(device) < CAPABILITY:
        return "the GPU is older than compute capability {}.{}".format(*CAPABILITY)
    from triton.errors import TritonError

    try:
        return "" if right(device) else "Triton's kernels run, and their results are wrong"
    except (TritonError, RuntimeError, OSError, CalledProcessError) as error:  # no compiler, no headers, an old driver
        return f"Triton's kernels do not run: {' '.join(str(error).split())[:200]}"


def right(device: torch.device) -> bool:
    """Whether a product of small integers comes out of the kernel."""
    from rec_export.topk.fused import FusedDots

    item_vec = torch.arange(64.0, device=device)[:, None].expand(64, 16).contiguous()
    chunk = chunk_of(torch.ones(1, 16), Seen(np.array([0, 1]), np.array([63])), np.arange(1), device)
    return FusedDots(item_vec).of(chunk)[0, :2].tolist() == [16 * 31.0, 16 * 62.0]
