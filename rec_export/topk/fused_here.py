"""Whether Triton's kernels run on a device, by trying them, and so which way to the groups' maxima is taken there."""

import logging
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from subprocess import CalledProcessError

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.contract import Seen
from rec_export.topk.form import Form
from rec_export.topk.maxima import Maxima, TileMaxima
from rec_export.topk.switches import whole_float32
from rec_export.topk.tiles import chunk_of

log = logging.getLogger("rec_export")
CAPABILITY = (8, 0)  # from which on tensor cores know bfloat16 and TF32
TRIED = 1 << 10  # items that a kernel is tried on
USERS = 4  # who are there


def maxima_of(form: Form, item_vec: Tensor) -> Maxima:
    """Triton's kernels where they run and know the head, else torch; item_vec float32 [N, D], on the device to use."""
    if len(item_vec) == 0 or missing(item_vec.device):
        return TileMaxima(form, item_vec)
    from rec_export.topk.fused import fused  # here, as it needs Triton

    kernel = fused(form, item_vec)
    why = kernel and trouble(lambda: alike(form, item_vec[:TRIED]))
    if why:
        log.warning("%s; torch takes their place", why)
    return TileMaxima(form, item_vec) if kernel is None or why else kernel


@cache
def missing(device: torch.device) -> str:
    """Why Triton's kernels cannot be had on a device; empty where they can. Tried once in a process."""
    if device.type != "cuda":
        return "Triton's kernels need a CUDA device"
    if find_spec("triton") is None:
        return "triton is not installed"
    if torch.cuda.get_device_capability(device) < CAPABILITY:
        return "the GPU is older than compute capability {}.{}".format(*CAPABILITY)
    return trouble(lambda: right(device))


def trouble(tried: Callable[[], bool]) -> str:
    """Why a trial of the kernels, which says whether they are right, did not come out well; empty where it did."""
    from triton.errors import TritonError

    try:
        return "" if tried() else "Triton's kernels run, and their results are wrong"
    # No compiler, no headers, an old driver, too little memory of a program; Triton asserts that it finds libcuda.
    except (TritonError, RuntimeError, OSError, CalledProcessError, AssertionError) as error:
        return f"Triton's kernels do not run: {' '.join(str(error).split())[:200]}"


def alike(form: Form, item_vec: Tensor) -> bool:
    """Whether the kernel for a head gives what torch does for some items, within both bounds; they are the users too.

    Its widths decide how it is compiled and what it needs, so it runs or not whatever another kernel does.
    """
    from rec_export.topk.fused import fused

    users = min(USERS, len(item_vec))
    kernel, tiles = fused(form, item_vec), TileMaxima(form, item_vec)
    assert kernel is not None
    chunk = chunk_of(item_vec[:users], Seen.none(users), np.arange(users), item_vec.device)
    with whole_float32():
        wanted = tiles.of(chunk).double()
        apart = (kernel.of(chunk)[:, : wanted.shape[1]].double() - wanted).abs()
    return not bool((apart > (kernel.bound(chunk.vec) + tiles.bound(chunk.vec))[:, None]).any())


def right(device: torch.device) -> bool:
    """Whether a product of small integers comes out of the kernel."""
    from rec_export.topk.fused import FusedDots

    item_vec = torch.arange(64.0, device=device)[:, None].expand(64, 16).contiguous()
    chunk = chunk_of(torch.ones(1, 16), Seen(np.array([0, 1]), np.array([63])), np.arange(1), device)
    return FusedDots(item_vec).of(chunk)[0, :2].tolist() == [16 * 31.0, 16 * 62.0]
