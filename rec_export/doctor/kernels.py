"""The compiled kernels, the engine that ranks, and the machine below them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rec_export.doctor.finding import Finding, UnfitError, tried
from rec_export.machine import CGROUP, free_memory

ITEMS, USERS, WIDTH, K = 4000, 256, 32, 10
FEW_BYTES = 2 << 30
ENGINES = {
    "DotEngine": "dot products and MLPs by 8-bit integers, as the processor has AVX-512 VNNI",
    "TileEngine": "float32 tiles by torch, as the processor has no AVX-512 VNNI (the same lists, more slowly)",
    "GroupEngine by Triton": "dot products and MLPs by Triton's kernels, which write no scores to memory",
    "GroupEngine by torch": "bfloat16 dot products and float32 MLPs in tiles by torch",
}


def kernel_findings() -> Iterator[Finding]:
    """What numba compiles, what ranks here, and with how much."""
    yield tried("numba", compiled_sum, "pip install -c constraints.txt .")
    yield tried("numba cache", cache, "make it writable, or set NUMBA_CACHE_DIR; else each process compiles anew")
    yield tried("top-k", lambda: ranked("cpu"), "report what you see here")
    yield tried("top-k cuda", lambda: ranked("cuda"), "see cuda; where that is ok, report what you see here")
    yield machine()


def compiled_sum() -> str:
    """A loop in machine code."""
    import numba
    import numpy as np

    begun = time.perf_counter()
    total: Any = numba.njit(sum_of)
    if total(np.arange(5.0)) != sum_of(np.arange(5.0)):
        raise UnfitError("a compiled sum is wrong")
    return f"numba {numba.__version__}, a loop was compiled in {time.perf_counter() - begun:.1f} s"


def sum_of(numbers: Any) -> float:
    """The sum of float64 [n]."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def cache() -> str:
    """Where numba keeps the kernels of the engine."""
    from rec_export.topk.scan import scan

    path = getattr(scan, "stats").cache_path  # noqa: B009, the decorator's own type is that of the kernel
    if path is None:
        raise UnfitError("there is no folder in which numba can keep compiled kernels")
    if Path(path).is_dir() and not os.access(path, os.W_OK):
        raise UnfitError(f"{path} cannot be written")
    return f"{path} ({len(list(Path(path).glob('*.nbc')))} kernels)"


def ranked(name: str) -> str:
    """The best items of some made-up users, which must be those of a plain float64 product."""
    import numpy as np
    import torch

    from rec_export.topk import Ranker, Seen
    from rec_export.topk.fused_here import missing
    from rec_export.towers import DotHead

    device = torch.device(name)
    if name == "cuda" and not torch.cuda.is_available():
        raise UnfitError("torch sees no GPU")

    random = np.random.default_rng(0)
    user, item = (random.normal(size=(rows, WIDTH)).astype(np.float32) for rows in (USERS, ITEMS))
    ranker = Ranker(DotHead(), torch.from_numpy(item), device)
    found = ranker.top_k(torch.from_numpy(user), K, Seen.none(USERS)).item_row
    wanted = np.argsort(-(user.astype(np.float64) @ item.T.astype(np.float64)), axis=1, kind="stable")[:, :K]
    if not np.array_equal(found, wanted):
        raise UnfitError("lists are not those of a plain product")
    why = missing(device) if ranker.engine.endswith("by torch") else ""
    return ENGINES.get(ranker.engine, ranker.engine) + (f", as {why}" if why else "")


def machine() -> Finding:
    """Cores and memory, as far as this process may have them."""
    everywhere = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else everywhere
    free = free_memory()
    limits = [f"{cores} of {everywhere} cores", f"{free / 1e9:.1f} GB of memory free"]
    quota = (CGROUP / "cpu.max").read_text().split() if (CGROUP / "cpu.max").is_file() else ["max"]
    if quota[0] != "max":
        limits.append(f"a limit of {int(quota[0]) / int(quota[1]):.1f} cores")
    limits += [f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"] if "OMP_NUM_THREADS" in os.environ else []
    if free < FEW_BYTES:
        todo = "enough for the sample alone; give it 4 GB or more"
        return Finding(check="machine", state="warning", said=", ".join(limits), todo=todo)
    return Finding(check="machine", state="ok", said=", ".join(limits))
