"""How the process uses the machine's threads and memory, and what is left of it."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
GIBIBYTE = 1 << 30
CGROUP = Path("/sys/fs/cgroup")


def prepare() -> None:
    """Let threads sleep while they wait, and torch use large pages. Called once, by the command line, before torch."""
    # By default OpenMP's threads spin while they wait: on a shared machine a step then takes ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # By default rows of a long table lie on a page each, and looking that up takes as long as the row; numpy does it.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


@contextmanager
def usual_torch() -> Iterator[None]:
    """Torch as it is where nobody has said anything: what a caller has put around us would change vectors and weights.

    No autocast, gradients where they are asked for, no inference mode.
    """
    import torch  # here, so that --help does not wait for it

    with without_autocast(), torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def without_autocast() -> Iterator[None]:
    """No autocast in this thread; others have none unless they ask for it."""
    import torch  # here, so that --help does not wait for it

    before = {device: torch.is_autocast_enabled(device) for device in ("cpu", "cuda")}
    try:
        for device in before:  # by hand: an autocast of ours around those of a training would keep casts of old weights
            torch.set_autocast_enabled(device, False)
        yield
    finally:
        for device, enabled in before.items():
            torch.set_autocast_enabled(device, enabled)


def keep_freed() -> None:
    """Keep freed memory for the next step: from here on the same tensors come and go. docs/decisions.md has figures.

    Not before: what is read, sorted and joined once would leave gaps that no later table fits into.
    """
    # By default glibc gives large tensors back at once, and every step pays for fresh pages again.
    import pyarrow as pa  # here, so that --help does not wait for it

    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, GIBIBYTE)
        libc.mallopt(M_TRIM_THRESHOLD, GIBIBYTE)
        pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own gives back too, within milliseconds


def free_memory() -> int:
    """Bytes that can still be had: of the machine, or of the container where that allows less."""
    told = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").is_file() else []
    free = [int(line.split()[1]) << 10 for line in told if line.startswith("MemAvailable")]
    available = free[0] if free else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, used, parts = (CGROUP / f"memory.{name}" for name in ("max", "current", "stat"))
    if limit.is_file() and used.is_file() and limit.read_text().strip() != "max":
        stat = dict(line.split() for line in parts.read_text().splitlines()) if parts.is_file() else {}
        cached = int(stat.get("inactive_file", 0))  # files that the kernel gives up at once
        return min(available, int(limit.read_text()) - int(used.read_text()) + cached)
    return available


def give_back() -> None:
    """Give freed memory back: after a log is read Arrow alone would keep some bytes for each byte that stays."""
    import pyarrow as pa  # here, so that --help does not wait for it

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
