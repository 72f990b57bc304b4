"""Whether a place is fit to publish in, and who may read what is published there."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rec_export.errors import UnsafePlaceError
from rec_export.files import files_below, umask
from rec_export.recs import Recs

PRIVATE = 0o750  # of folders that are made: the group may read, others may not


def refuse_open(recs: Recs) -> None:
    """Raise UnsafePlaceError where anybody on this machine could put lists of their own in the place of ours."""
    refuse_folders([recs.root.resolve(), recs.control], recs.root)


def refuse_folders(folders: list[Path], read: Path | str) -> None:
    """Raise UnsafePlaceError where anybody could change what is made in some folders for those who read there."""
    for folder in folders:
        for wrong in faults(folder):
            raise UnsafePlaceError(
                f"{wrong}, so anybody here could change what readers of {read} get; choose another place, mend its"
                " mode, or say --allow-world-writable (nightly.allow_world_writable) where nobody else is"
            )


def faults(folder: Path) -> Iterator[str]:
    """What makes a folder, or one above it, anybody's; where the sticky bit is set, as in /tmp, names are owned."""
    for place in (folder, *folder.parents):
        if place.exists():
            found = place.stat()
            sticky = bool(found.st_mode & stat.S_ISVTX)
            if found.st_mode & stat.S_IWOTH and (place == folder or not sticky):
                yield f"everybody may write to {place}"
            inside = place.parent.stat().st_mode
            if inside & stat.S_IWOTH and inside & stat.S_ISVTX and found.st_uid not in (0, os.geteuid()):
                yield f"{place} lies in {place.parent}, where everybody may write, and belongs to another user"


def readable_as(root: Path, folder: Path) -> None:
    """Let those read a run's folder who may read the root that it will be in, and nobody else."""
    mode = root.stat().st_mode & 0o755 & ~umask()
    for path in files_below(folder):
        path.chmod(mode & 0o644)
    folder.chmod(mode)
