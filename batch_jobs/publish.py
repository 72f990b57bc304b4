"""One run of recommendations appears below the read root whole, by one rename, or not at all.

    recs.control/lock                              one process at a time; the kernel gives it back, however that ends
    recs.control/work/<run_id>/                    a run under way (work.py)
    recs.control/manifests/run_date=D/<run_id>.json  written before the commit, never changed after it
    recs.control/trash/run_date=D/<run_id>/        what was live, for readers that still read it and for `rollback`
    recs.control/gone/                             what was in the trash already when it came there again
    recs.control/failed/<run_id>/                  what the gates refused, with a report
    recs.control/latest.json                       the newest date; derived from the read root
    recs.control/basis/<run_id>/                   what the lists of the newest date stand on, if that was asked for

The commit is one renameat2: into a free place, or an exchange with the run that is live. Everything after it is
derived by `settle`, which every start repeats; so a process can be killed at any moment.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

from batch_jobs.place import PRIVATE, readable_as, refuse_open
from rec_export.errors import DataError, MissingInputError, ModelError, OutputExistsError, StorageError, UsageError
from rec_export.files import locked, storage_errors, sync, sync_tree, write_whole
from rec_export.record import Record
from rec_export.recs import MARK, PARTLESS, UNKNOWN_RUN, Recs, matched, run_in
from rec_export.run_manifest import RunManifest
from rec_export.swap import exchange, place

log = logging.getLogger("rec_export")
ONCE_MORE = "once_more"  # in the folder of a run under way that is live already, but was not judged


@final
class Latest(Record):
    """latest.json: the newest date and its run."""

    run_date: str
    run_id: str


@contextmanager
def claimed(recs: Recs, *, anywhere: bool = False) -> Iterator[None]:
    """Be the only one who writes there, in order left by whoever was before. Raises BusyError.

    Raises UnsafePlaceError where everybody may write, but for `anywhere`. Where nothing was kept in the end, no control
    folder is left either.
    """
    with storage_errors(recs.root):
        refuse_unfit(recs, anywhere)
        with locked(lock_of(recs.control)):
            try:
                settle(recs)
                yield
            finally:
                leave_clean(recs.control)


@contextmanager
def joined(recs: Recs, *, anywhere: bool = False) -> Iterator[None]:
    """Be one of several who make parts there. Raises BusyError where somebody publishes, who must be alone."""
    with storage_errors(recs.root):
        refuse_unfit(recs, anywhere)
        with locked(lock_of(recs.control), shared=True):
            yield


def lock_of(control: Path) -> Path:
    """The lock file, in the control folder, which is made."""
    control.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    return control / "lock"


def leave_clean(control: Path) -> None:
    """Where nothing was kept, no control folder stays."""
    remove_if_empty(control / "work")
    if [path.name for path in control.iterdir()] == ["lock"]:
        (control / "lock").unlink()
        remove_if_empty(control)


def refuse_unfit(recs: Recs, anywhere: bool) -> None:
    """Raise UnsafePlaceError, StorageError or UsageError where nothing should or could be published."""
    if recs.root.is_symlink() and not recs.root.exists():
        raise UsageError(f"{recs.root} is a link to {os.readlink(recs.root)}, which is not there; make that folder")
    if not anywhere:
        refuse_open(recs)
    recs.control.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if recs.root.exists() and recs.root.stat().st_dev != recs.control.stat().st_dev:
        raise StorageError(
            f"{recs.root} and {recs.control} are on different disks, so a run cannot appear there at once;"
            f" name a directory below {recs.root} as --out"
        )


def publish(recs: Recs, work: Path, manifest: RunManifest) -> None:
    """Commit the run in the folder `work`: the manifest, then one rename. Raises OutputExistsError as `commit` does."""
    (work / MARK).touch()
    make_folder(recs.root)
    readable_as(recs.root, work)
    sync_tree(work)
    live, path = recs.live(manifest.run_date), recs.manifest(manifest.run_date, manifest.run_id)
    shutil.rmtree(trash(recs, live.name, manifest.run_id), ignore_errors=True)  # that manifest would not be its own
    make_folder(path.parent)
    manifest.write(path)
    try:
        commit(work, live, manifest.replaces)
    except BaseException:
        if run_in(live) != manifest.run_id:
            path.unlink()
        raise
    with warned("the lists are live, but what they replaced is not in the trash yet"):
        settle(recs)


def refuse_gap(control: Path) -> None:
    """Raise EnvironmentMissingError where two folders cannot be exchanged: before hours of scoring, not after."""
    folders = control / "probe-a", control / "probe-b"
    try:
        for folder in folders:
            folder.mkdir(exist_ok=True)
        exchange(*folders)
    finally:
        for folder in folders:
            remove_if_empty(folder)


def commit(folder: Path, live: Path, replaced: str | None) -> None:
    """The one step that readers see: `folder` becomes the live one, in the place of the run `replaced`, if any was."""
    make_folder(live.parent)
    if run_in(live) != replaced:
        raise OutputExistsError(f"{live} was changed while this run was made; look at it, then run the command again")
    if replaced is None:
        try:
            place(folder, live)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            raise OutputExistsError(f"{live} appeared while this run was made; run the command again") from error
    else:
        exchange(folder, live)
    sync(live.parent)
    sync(folder.parent)


@contextmanager
def warned(what: str) -> Iterator[None]:
    """Tell of an error of the disk and go on: what comes after the commit cannot undo it."""
    try:
        yield
    except OSError as error:
        log.warning("%s: %s", what, error)


def settle(recs: Recs) -> None:
    """Bring the control folder in line with what is live; nothing is written where it is already.

    A folder of parts whose place does not carry its own run id was exchanged: it belongs in the trash by its own name.
    """
    for folder in [*recs.control.glob("work/*/run_date=*"), *recs.control.glob("trash/run_date=*/*")]:
        run_id, owner = run_in(folder), folder.parent if folder.parent.parent.name == "work" else folder
        if run_id not in (None, owner.name, UNKNOWN_RUN, PARTLESS):
            discard(recs, folder, folder.name if owner != folder else folder.parent.name)
    for work in recs.control.glob("work/*"):
        if is_live(recs, work.name) and not is_mending(recs, work):
            keep_basis(recs.control, work)
            shutil.rmtree(work)
    for mark in recs.control.glob("withdrawn/run_date=*/*.json"):
        if run_in(recs.root / mark.parent.name) == mark.stem:  # it is live again, or still
            mark.unlink()
    dates = recs.dates()
    if dates:
        now = Latest(run_date=dates[-1], run_id=str(run_in(recs.live(dates[-1]))))
        path, text = recs.control / "latest.json", now.as_json()
        for basis in recs.control.glob("basis/*"):
            if now.run_id not in (basis.name, PARTLESS):  # of one without its parts nobody knows which it was
                shutil.rmtree(basis)
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            write_whole(path, text)
    else:
        (recs.control / "latest.json").unlink(missing_ok=True)


def keep_basis(control: Path, work: Path) -> None:
    """What the lists of a run stand on outlives its work, so that lists can be carried over the next time."""
    if (work / "basis").is_dir():
        kept = control / "basis" / work.name
        shutil.rmtree(kept, ignore_errors=True)
        make_folder(kept.parent)
        os.rename(work / "basis", kept)


def is_live(recs: Recs, run_id: str) -> bool:
    """Whether a run was published: its manifest is there, and its date holds it."""
    dates = [path.parent.name for path in recs.control.glob(f"manifests/run_date=*/{run_id}.json")]
    return any(run_in(recs.root / date) == run_id for date in dates)


def is_mending(recs: Recs, work: Path) -> bool:
    """Whether a run that is live is made once more, as what is live of it is damaged, or was not judged.

    Its parts would be gone from there, had they become the live ones in the place of another run or of none.
    """
    for parts in work.glob("run_date=*"):
        try:
            live = recs.told(parts.name.removeprefix("run_date="), work.name)
            matched(recs.root / parts.name, live)
            if (work / ONCE_MORE).exists() and live.unjudged:
                return True
        except (DataError, MissingInputError, ModelError):
            return True
    return False


def discard(recs: Recs, folder: Path, date: str) -> None:
    """Move a folder of parts that nobody should find any more to the trash, from where its time there counts."""
    target = trash(recs, date, str(run_in(folder)))
    if target.exists():  # the same run, replaced before: some reader may be at it still
        make_folder(recs.control / "gone")
        target.rename(recs.control / "gone" / f"{target.name}-{time.time_ns()}")
    make_folder(target.parent)
    os.utime(folder)
    place(folder, target)
    sync(target.parent)
    sync(folder.parent)


def trash(recs: Recs, date: str, run_id: str) -> Path:
    """Where a run goes that was live at the date `run_date=D`."""
    return recs.control / "trash" / date / run_id


def withdrawal(recs: Recs, run_date: str, run_id: str) -> Path:
    """Where it is recorded that a run was taken back."""
    return recs.control / "withdrawn" / f"run_date={run_date}" / f"{run_id}.json"


def make_folder(folder: Path) -> None:
    """Make a folder and what is above it, on the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing."""
    with suppress(OSError):
        folder.rmdir()
