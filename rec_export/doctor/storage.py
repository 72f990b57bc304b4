"""Whether a filesystem does what publishing needs: renames that never overwrite, exchanges, locks."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rec_export.doctor.finding import Finding, UnfitError, tried
from rec_export.files import locked, sync
from rec_export.recs import Recs
from rec_export.swap import EXCHANGE, NOREPLACE, renameat2


def storage_findings(recs: Path) -> Iterator[Finding]:
    """What can be done beside the read root `recs`, which need not exist yet; nothing is left there."""
    parent = Recs.at(recs).control.parent
    place = next(folder for folder in (parent, *parent.parents) if folder.is_dir())
    try:
        work = Path(tempfile.mkdtemp(prefix=".rec-export-doctor.", dir=place))
    except OSError as error:
        todo = "name a read root in a folder that you may write in"
        yield Finding(check="recs", state="not available", said=f"cannot write in {place}: {error.strerror}", todo=todo)
        return
    try:
        free = shutil.disk_usage(place).free
        yield Finding(check="recs", state="ok", said=f"{place} can be written, {free / 1e9:.1f} GB free")
        yield tried("lock", lambda: lock(work), "nothing can be published here; use a filesystem that knows flock")
        yield tried("place", lambda: rename(work, NOREPLACE), "a commit is guarded by the lock alone; use ext4 or xfs")
        yield tried("exchange", lambda: rename(work, EXCHANGE), "--replace and rollback exit with 78; use ext4 or xfs")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def lock(work: Path) -> str:
    """Hold a lock."""
    with locked(work / "lock"):
        return "a lock was held (flock)"


def rename(work: Path, flag: int) -> str:
    """Place a folder where nothing is, or let two take each other's place."""
    one, other = (Path(tempfile.mkdtemp(dir=work)) for _ in range(2))
    (one / "mark").touch()
    sync(one)
    if flag == NOREPLACE:
        other.rmdir()
    renameat2(one, other, flag)
    if not (other / "mark").exists():
        raise UnfitError("the folders are where they were")
    return "renameat2 " + (
        "never overwrites (RENAME_NOREPLACE)" if flag == NOREPLACE else "exchanges (RENAME_EXCHANGE)"
    )
