"""How the process uses the machine. Called once, by the command line, before torch is loaded."""

import ctypes
import os
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
GIBIBYTE = 1 << 30


def prepare() -> None:
    """Let threads sleep while they wait, and keep freed memory for the next step; docs/decisions.md has the figures."""
    # By default OpenMP's threads spin while they wait: on a shared machine a step then takes ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # By default glibc gives large tensors back at once, and every step pays for fresh pages again.
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, GIBIBYTE)
        libc.mallopt(M_TRIM_THRESHOLD, GIBIBYTE)
