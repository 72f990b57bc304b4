"""Renames that readers see as one step: never over something, or two folders exchanged. See renameat2(2).

Python has `os.rename` only, which puts a folder in the place of an empty one alone.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path

from rec_export.errors import EnvironmentMissingError

NOREPLACE, EXCHANGE = 1, 2
HERE = -100  # AT_FDCWD: paths are relative to the current directory
UNABLE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # the kernel, the C library or the filesystem does not know it


def place(source: Path, target: Path) -> None:
    """Rename a folder to where nothing is. Raises OSError with EEXIST or ENOTEMPTY where something is."""
    try:
        renameat2(source, target, NOREPLACE)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        os.rename(source, target)  # which refuses a folder that holds anything


def exchange(one: Path, other: Path) -> None:
    """Two folders take each other's place at once. Raises EnvironmentMissingError where that cannot be."""
    try:
        renameat2(one, other, EXCHANGE)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        raise EnvironmentMissingError(
            f"the filesystem of {other} cannot exchange two folders at once, so readers would find a gap;"
            " withdraw the date (rec-export rollback RECS --run-date DATE --withdraw), then publish it again"
        ) from error


def renameat2(source: Path, target: Path, flag: int) -> None:
    """Call the C library; Linux with glibc 2.28 or later has it."""
    sys.audit("rec_export.renameat2", str(source), str(target))
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(target))
    if call(HERE, os.fsencode(source), HERE, os.fsencode(target), flag):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))
