"""One run of recommendations appears below the read root whole, by one rename, or not at all.

    recs/run_date=2026-11-20/part-00000-of-00004-<run_id>.parquet, _SUCCESS      what readers see
    recs.control/work/<run_id>/                                                  where a run is written
    recs.control/manifests/run_date=2026-11-20/<run_id>.json                     written before the commit

The control folder is a sibling, because readers glob whatever lies below the root.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

from batch_jobs.parts import SOURCES, PartFile
from rec_export.errors import MissingInputError, OutputExistsError, StorageError, UsageError
from rec_export.files import locked, storage_errors, sync, sync_tree
from rec_export.record import Record

Facts = dict[str, str | int]
RUN_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
PART = re.compile(r"part-\d{5}-of-\d{5}-([0-9a-f]{12})\.parquet")


@final
class RunManifest(Record):
    """What a run is and where it came from."""

    format: int = 1
    run_id: str
    run_date: str
    made_by: str
    started_at: str  # UTC, ISO 8601
    seconds: float
    as_of: str | None  # the last moment that was looked at
    bundle: str  # sha256 of the bundle's manifest
    inputs: dict[str, str]  # sha256 of the files that were read
    k: int
    seen: str
    runtime: str
    device: str
    items: int
    files: tuple[PartFile, ...]

    def facts(self) -> Facts:
        """What decides what a run says, but for its date."""
        return {"k": self.k, "seen": self.seen, "runtime": self.runtime, "bundle": self.bundle, **self.inputs}

    @property
    def rows(self) -> int:
        """The rows of all parts."""
        return sum(part.rows for part in self.files)

    @property
    def short_lists(self) -> int:
        """Users who get fewer than k items."""
        return sum(part.short_lists for part in self.files)

    @property
    def bytes(self) -> int:
        """The size of all parts."""
        return sum(part.bytes for part in self.files)

    @property
    def empty_lists(self) -> int:
        """Users who get nothing."""
        return sum(part.empty_lists for part in self.files)

    @property
    def users(self) -> dict[str, int]:
        """Users by source."""
        return {source: sum(part.users[source] for part in self.files) for source in SOURCES}


@final
class Destination:
    """The place of one run date below a read root."""

    def __init__(self, root: Path, run_date: str) -> None:
        if not RUN_DATE.fullmatch(run_date):
            raise UsageError(f"the run date is {run_date!r}, but should be like 2026-11-20")
        if root.exists() and not root.is_dir():
            raise OutputExistsError(f"{root} is a file; name a directory for the recommendations")
        if root.resolve() == root.resolve().parent:
            raise UsageError(f"{root} cannot be a read root, as its control folder lies beside it; name one below it")
        self.root = root
        whole = root.resolve()  # "." and ".." have no name of their own
        self.control = whole.with_name(f"{whole.name}.control")
        self.live = root / f"run_date={run_date}"
        self.manifests = self.control / "manifests" / self.live.name

    def published(self) -> str | None:
        """The run id of what is live at this date; None when nothing is."""
        if not self.live.exists():
            return None
        found = [match[1] for path in self.live.iterdir() if (match := PART.fullmatch(path.name))]
        return found[0] if found else "an unknown run"

    def manifest(self, run_id: str) -> Path:
        """Where the manifest of a run lies."""
        return self.manifests / f"{run_id}.json"

    def told(self, run_id: str) -> RunManifest:
        """The manifest of a live run."""
        path = self.manifest(run_id)
        if not path.is_file():
            raise MissingInputError(
                f"{self.live} is live, but its manifest {path} is gone; restore it, or remove the run to make it again"
            )
        return RunManifest.read(path)

    @contextmanager
    def staged(self, run_id: str) -> Iterator[Path]:
        """Give an empty directory to write a run in; it is removed when the block fails, as is what a killed run left.

        One run at a time is at work for a read root: two of the same name would publish each other's unfinished parts.
        """
        works = self.control / "work"
        with storage_errors(self.live):
            works.mkdir(parents=True, exist_ok=True)
            self.refuse_other_filesystem(works)
            with locked(works):
                for left in works.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                try:
                    (works / run_id).mkdir()
                    yield works / run_id
                except BaseException:
                    shutil.rmtree(works / run_id, ignore_errors=True)
                    with suppress(OSError):  # earlier runs have left their manifests there
                        works.rmdir()
                        self.control.rmdir()
                    raise
                shutil.rmtree(works / run_id, ignore_errors=True)  # where it was not published

    def publish(self, work: Path, manifest: RunManifest) -> None:
        """Commit what lies in `work`: the manifest, then one rename. Raises OutputExistsError if one was faster."""
        (work / "_SUCCESS").touch()
        sync_tree(work)
        self.refuse_other_run()
        self.manifests.mkdir(parents=True, exist_ok=True)
        manifest.write(self.manifest(manifest.run_id))
        sync(self.manifest(manifest.run_id))
        sync(self.manifests)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            os.rename(work, self.live)
        except BaseException as error:
            self.manifest(manifest.run_id).unlink()
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                self.refuse_other_run()
            raise
        sync(self.root)

    def refuse_other_filesystem(self, works: Path) -> None:
        """Raise StorageError when the last step could be no rename: the read root is a mount of its own."""
        if self.root.exists() and self.root.stat().st_dev != works.stat().st_dev:
            raise StorageError(
                f"{self.root} and {self.control} are on different disks, so a run cannot appear there at once;"
                f" name a directory below {self.root} as --out"
            )

    def refuse_other_run(self, mine: Facts | None = None) -> None:
        """Raise OutputExistsError when the date is taken: readers may be reading it. `mine` is what was asked for."""
        live = self.published()
        if live is not None:
            raise OutputExistsError(
                f"{self.live} already holds the run {live}, made with {self.differences(live, mine or {})};"
                " choose another --run-date or --out, or remove it first"
            )

    def differences(self, live: str, mine: Facts) -> str:
        """In what a live run differs from one with the facts `mine`, as far as its manifest tells."""
        if not self.manifest(live).is_file():
            return "other inputs"
        theirs = RunManifest.read(self.manifest(live)).facts()
        names = [name for name in {**theirs, **mine} if theirs.get(name) != mine.get(name)] if mine else []
        return f"another {', '.join(names)}" if names else "other inputs"
