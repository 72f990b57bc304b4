"""Who holds a lock: processes of this machine that have the file locked, and whether they can do anything with it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import final

from rec_export.files import is_locked
from rec_export.record import Record

LOCKS = Path("/proc/locks")
STOPPED = "T"  # the state of a process that was sent SIGSTOP


@final
class Holder(Record):
    """A process that holds a lock."""

    process: int
    stopped: bool  # by a signal: it holds what it has and does nothing until SIGCONT

    def told(self) -> str:
        """For a person."""
        return f"process {self.process}" + (", which is stopped" if self.stopped else "")


def holders(lock: Path) -> tuple[Holder, ...] | None:
    """The processes that hold a lock file, as far as they can be seen from here; None where nobody holds it.

    A lock ends with its process, so a file alone is no lock. On NFS the process may be on another machine.
    """
    if not is_locked(lock):
        return None
    found = []
    with suppress(OSError):  # no Linux, or the night has just ended
        inode = lock.stat().st_ino
        for line in LOCKS.read_text(encoding="ascii").splitlines():
            words = line.replace("->", "").split()  # 1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF
            process = int(words[4])
            if words[5].rpartition(":")[2] == str(inode) and has_open(process, lock):
                found.append(Holder(process=process, stopped=state(process) == STOPPED))
    return tuple(found)


def has_open(process: int, lock: Path) -> bool:
    """Whether a process has the very file open: numbers of inodes are used on several disks."""
    with suppress(OSError):
        return any(
            os.path.samefile(opened, lock) for opened in Path(f"/proc/{process}/fd").iterdir() if opened.exists()
        )
    return False


def state(process: int) -> str:
    """The letter that Linux has for what a process does; "" where it has ended."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return ""
