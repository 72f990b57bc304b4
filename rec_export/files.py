"""Directories that appear whole or not at all; hashes; what reached the disk."""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from safetensors import SafetensorError

from rec_export.errors import (
    BusyError,
    MissingInputError,
    OutputExistsError,
    RecExportError,
    StorageError,
    close_to,
)

FULL = {errno.ENOSPC, errno.EDQUOT}
ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl")  # of data: what is before them is the name
UNFINISHED = ".unfinished"
MOMENT = 0.02  # seconds


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Give a directory to write in; it becomes `path` when the block ends well, and vanishes otherwise.

    The work happens in a hidden sibling on the same filesystem, so that the last step is one rename. Raises
    OutputExistsError when `path` exists (now or by then) and StorageError when the disk is full or refuses.
    """
    refuse_existing(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        work, claim = own_directory(path)
    try:
        with storage_errors(path):
            yield work
            open_up(work)
            sync_tree(work)
            refuse_existing(path)
            os.rename(work, path)
            sync(path.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    finally:
        os.close(claim)


def own_directory(path: Path) -> tuple[Path, int]:
    """A new hidden sibling of `path`, and a handle whose lock says that somebody is at work in it."""
    while True:
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent))
        claim = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # a filesystem without such locks: then nothing is ever swept on it
            fcntl.flock(claim, fcntl.LOCK_EX)
        if work.exists():  # nobody swept it before it was locked
            return work, claim
        os.close(claim)


def sweep(path: Path) -> None:
    """Remove the hidden siblings of `path` that killed processes left: those that nobody holds a lock on."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}.") and left.name.endswith(UNFINISHED) and left.is_dir():
            with suppress(OSError):
                claim = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    if taken(claim, fcntl.LOCK_EX):
                        shutil.rmtree(left)
                finally:
                    os.close(claim)


def refuse_existing(path: Path, kind: str = "directory") -> None:
    """Raise OutputExistsError when something already lies at `path`, StorageError when nothing can be made there."""
    if path.is_symlink() or path.exists():
        raise OutputExistsError(f"{path} already exists; name a new {kind} or remove it first")
    nearest = next(parent for parent in path.absolute().parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write {path}: {nearest} is no directory that you may write in")


@contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into one sentence."""
    try:
        yield
    except RecExportError:
        raise
    except OSError as error:
        raise storage_error(path, error) from error
    except SafetensorError as error:  # its writer has no OSError, only the text of one
        full = next((code for code in FULL if os.strerror(code) in str(error)), None)
        if full is None:
            raise
        raise storage_error(path, OSError(full, os.strerror(full))) from error


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """The sentence for a write that failed."""
    if error.errno in FULL:
        free = 0
        with suppress(OSError):
            free = shutil.disk_usage(next(p for p in [Path(path), *Path(path).parents] if p.exists())).free
        return StorageError(
            f"the disk is full while writing {path} ({free:,} bytes free);"
            " free some space and run the same command again"
        )
    if error.filename and UNFINISHED not in str(error.filename):
        path = error.filename  # which may have been read for what is written
    reason = (error.strerror or str(error).splitlines()[0]).lower()
    return StorageError(f"cannot read or write {path}: {reason}; check that it is there, and who may use it")


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Be the only process that holds the lock file `path`. Raises BusyError at once where another one does.

    `shared`: be one of several who hold it so; none of them and one who holds it alone are there at once. The kernel
    gives the lock back when a process ends, however it ends. The file is open for writing, as NFS wants it.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    except FileNotFoundError as error:  # who held it has just removed its folder
        raise busy(path) from error
    try:
        same = soon_taken(handle, kind) and path.exists() and os.path.samestat(os.fstat(handle), path.stat())
        if not same:  # or the one who held it has just removed the file
            raise busy(path)
        yield
    finally:
        os.close(handle)


def refuse_busy(path: Path) -> None:
    """Raise BusyError where a process holds the lock file `path`, before anything is done."""
    if is_locked(path):
        raise busy(path)


def busy(path: Path) -> BusyError:
    """The sentence for a lock that another process holds."""
    return BusyError(f"another run is at work in {path.parent}; try again when it has ended")


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock file `path`; a lock that is asked for meanwhile is given all the same.

    Who may not write the file, and so, on NFS, not hold it alone, does not see those who share it.
    """
    alone = os.access(path, os.W_OK)
    try:
        handle = os.open(path, (os.O_RDWR if alone else os.O_RDONLY) | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return not soon_taken(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    finally:
        os.close(handle)


def soon_taken(handle: int, kind: int) -> bool:
    """The same as `taken`, also where somebody has it for a moment, as `is_locked` does to look."""
    if taken(handle, kind):
        return True
    time.sleep(MOMENT)
    return taken(handle, kind)


def taken(handle: int, kind: int) -> bool:
    """Take a lock on an open file, if nobody has one that excludes it; whether it was taken."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_whole(path: Path, text: str, work: Path | None = None) -> None:
    """Put a text file in its place, on the disk, by one rename: whoever reads it finds the old one or the new one.

    `work`: where it is written first, on the same disk, if several processes may write `path` at once.
    """
    work = work or path.with_name(f".{path.name}{UNFINISHED}")
    with work.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(work, path)
    sync(path.parent)


def absent(path: Path, otherwise: str) -> MissingInputError:
    """The sentence for a path that does not exist; it names the sibling of nearly that name, or says `otherwise`.

    A file where a folder is wanted is told of too.
    """
    if path.is_file():
        return MissingInputError(f"{path} is a file, not a folder; {otherwise}")
    missing = next((above for above in reversed(path.parents) if not above.exists()), path)
    siblings: list[str] = []
    with suppress(OSError):  # a folder that must not be listed
        siblings = list(islice((one.name for one in missing.parent.iterdir() if one.name[0] != "."), 1000))
    ending = next((one for one in ENDINGS if missing.name.endswith(one)), "")
    alike = {name.removesuffix(ending): name for name in siblings if name.endswith(ending)}
    stem = close_to(missing.name.removesuffix(ending), alike)  # or all would be near that end in .parquet
    near = None if stem is None else alike[stem]
    if near is None and ending:
        same = (missing.name.removesuffix(ending) + other for other in ENDINGS)
        near = next((name for name in same if name in siblings), None)
    return MissingInputError(f"{missing} does not exist; {otherwise if near is None else f'did you mean {near!r}?'}")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(directory: Path) -> list[Path]:
    """Every file below `directory`, in a fixed order."""
    return sorted(path for path in directory.rglob("*") if path.is_file())


def open_up(directory: Path) -> None:
    """Let the umask alone say who may read it: what safetensors writes, only its owner may."""
    mask = umask()
    for path in [*directory.rglob("*"), directory]:
        path.chmod((0o755 if path.is_dir() else 0o644) & ~mask)


def sync_tree(directory: Path) -> None:
    """Make sure that every file and folder below `directory` is on the disk, not only in the cache."""
    for path in [*directory.rglob("*"), directory]:
        sync(path)


def sync(path: Path) -> None:
    """Make sure that one file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """The process's file mode mask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
