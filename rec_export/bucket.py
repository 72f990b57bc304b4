"""Bucket: published runs in an object store. Which run is live at a date is told by one small object, its pointer.

    current/run_date=2026-11-20.json                         the pointer: the only object that is ever changed
    manifests/run_date=2026-11-20/<run_id>-<digest>.json     by its own sha256; written before the pointer names it
    data/run_date=2026-11-20/<run_id>-<attempt>/part-...     the parts; created, never overwritten
    views/symlink/run_date=2026-11-20/manifest               derived: the URLs of the live parts, one a line
    failed/<run_id>/  report.json                            what the gates refused, and how the last night ended

A pointer is replaced under the condition that it is what was read, so of two who commit at once one wins.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, final
from urllib.parse import quote

from pydantic import Field, ValidationError

from rec_export.errors import (
    DataError,
    EnvironmentMissingError,
    MissingInputError,
    ModelError,
    StorageError,
    UsageError,
)
from rec_export.objects import SCHEME, Objects, place_of
from rec_export.published import Withdrawal
from rec_export.record import Record
from rec_export.recs import PART, RUN_DATE, Recs, unchanged
from rec_export.run_manifest import RunManifest

POINTERS = "current"
AT_ONCE = 16  # pointers are read
DIGITS = 12  # of a manifest's sha256 in its name
MEND_BUCKET = "go back with `rec-export rollback`, or make the run again with --replace"


@final
class Version(Record):
    """A run as a pointer names it."""

    run_id: str
    folder: str  # of its parts, below the prefix
    manifest: str  # sha256


@final
class Past(Record):
    """A run that was live, and that `rollback` can put back."""

    version: Version
    until: str  # UTC, ISO 8601


@final
class Pointer(Record):
    """current/run_date=D.json."""

    format: int = 1
    run_date: str
    live: Version | None = None  # None: the date was withdrawn, or is kept no longer
    past: tuple[Past, ...] = ()  # the one that was replaced last first
    doomed: tuple[str, ...] = Field(default=(), description="folders of parts that are being removed")
    withdrawn: tuple[Withdrawal, ...] = ()


class Read(NamedTuple):
    """A pointer, and the tag that must still be its own when it is replaced; None: there was none."""

    pointer: Pointer
    tag: str | None


@final
class Bucket:
    """The runs below a URL; `staging` is where they are made on this machine."""

    def __init__(self, url: str, staging: Path | None = None) -> None:
        self.url = url
        self.objects = Objects(url)
        self.control = staging or staging_of(url)

    def where(self, run_date: str) -> str:
        """The pointer."""
        return f"{self.url}/{pointer_key(run_date)}"

    def local(self, run_date: str) -> Path:
        """Where the parts that were published last lie on this machine, for the night after."""
        return self.control / "copies" / f"run_date={run_date}"

    def read(self, run_date: str) -> Read:
        """The pointer of a date. Raises ModelError where it is damaged."""
        found = self.objects.get(pointer_key(run_date))
        if found is None:
            return Read(Pointer(run_date=run_date), None)
        try:
            return Read(Pointer.model_validate_json(found.content), found.tag)
        except ValidationError as error:
            raise ModelError(f"{self.where(run_date)} is not a valid pointer; restore it") from error

    def pointers(self) -> list[Read]:
        """All pointers, the oldest date first."""
        names = [key.removeprefix(f"{POINTERS}/") for key in self.objects.list(POINTERS)]
        dates = sorted(name.removeprefix("run_date=").removesuffix(".json") for name in names)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.read, [date for date in dates if RUN_DATE.fullmatch(date)]))

    def dates(self) -> list[str]:
        """The dates that have a run, the oldest first."""
        return [read.pointer.run_date for read in self.pointers() if read.pointer.live is not None]

    def date(self, run_date: str | None) -> str:
        """A date that has a run; the newest, if none is named."""
        if run_date is not None and self.read(run_date).pointer.live is not None:
            return run_date
        dates = self.dates()
        if not dates:
            raise MissingInputError(f"nothing is published below {self.url}; name the --out of a run")
        if run_date is not None:
            newest = ", ".join(dates[-3:])
            raise MissingInputError(f"nothing is published at {self.where(run_date)}; the newest dates: {newest}")
        return dates[-1]

    def run_id(self, run_date: str) -> str | None:
        """The run that is live."""
        live = self.read(run_date).pointer.live
        return live and live.run_id

    def version(self, run_date: str, run_id: str | None = None) -> Version:
        """The live run, or one that is live or kept, by its id. Raises MissingInputError."""
        pointer = self.read(run_date).pointer
        known = [pointer.live] if pointer.live else []
        known += [past.version for past in pointer.past] if run_id is not None else []
        for version in known:
            if run_id in (None, version.run_id):
                return version
        what = "no run is" if run_id is None else f"the run {run_id} is not"
        raise MissingInputError(f"{what} published at {self.where(run_date)}")

    def told(self, run_date: str, run_id: str) -> RunManifest:
        """The manifest of a run that is live or kept."""
        return self.manifest(run_date, self.version(run_date, run_id))

    def manifest(self, run_date: str, version: Version) -> RunManifest:
        """The manifest that a pointer names, held against its sha256."""
        key = manifest_key(run_date, version.run_id, version.manifest)
        found = self.objects.get(key)
        if found is None:
            raise MissingInputError(f"{self.url}/{key} is gone; restore it, or publish the run again with --replace")
        if digest(found.content) != version.manifest:
            raise ModelError(f"{self.url}/{key} is not what was written; restore it")
        try:
            manifest = RunManifest.model_validate_json(found.content)
        except ValidationError as error:
            raise ModelError(f"{self.url}/{key} is not a manifest that this version of rec-export reads") from error
        if not all(PART.fullmatch(part.name) for part in manifest.files):  # they become names of files
            raise ModelError(f"{self.url}/{key} names parts that are none; restore it")
        return manifest

    def refuse_changed(self, manifest: RunManifest) -> None:
        """Raise DataError where names or sizes of the live run's parts are not those of its manifest."""
        self.refuse_other_parts(self.version(manifest.run_date), manifest)

    def refuse_other_parts(self, version: Version, manifest: RunManifest) -> None:
        """Raise DataError where names or sizes in a version's folder are not those of a manifest."""
        found = {key.rpartition("/")[2]: one.bytes for key, one in self.objects.list(version.folder).items()}
        wanted = {part.name: part.bytes for part in manifest.files}
        wrong = sorted(name for name in {**found, **wanted} if found.get(name) != wanted.get(name))
        if wrong:
            raise DataError(
                f"{len(wrong)} parts in {self.url}/{version.folder} are missing, strange or of another size, such as"
                f" {wrong[0]}; {MEND_BUCKET}"
            )

    def urls(self, run_date: str) -> list[str]:
        """Where the parts of the live run lie, after their names and sizes were held against the manifest."""
        version = self.version(run_date)
        manifest = self.manifest(run_date, version)
        self.refuse_other_parts(version, manifest)
        return self.addresses(run_date, version)

    def addresses(self, run_date: str, version: Version) -> list[str]:
        """The URLs of a version's parts, as its manifest names them."""
        parts = self.manifest(run_date, version).files
        return [f"{self.url}/{version.folder}/{part.name}" for part in parts]

    def commit(self, read: Read, now: Pointer) -> bool:
        """Put a pointer in the place of the one that was read; False where another has come there meanwhile."""
        key, content = pointer_key(now.run_date), now.as_json().encode()
        try:
            if read.tag is None:
                done = self.objects.create(key, content)
            else:
                done = self.objects.replace(key, content, read.tag)
        except StorageError:  # whose answer may have been lost on its way
            if not self.holds(key, content):
                raise
            return True
        return done or self.holds(key, content)  # a second try finds what the first one wrote

    def holds(self, key: str, content: bytes) -> bool:
        """Whether an object is this."""
        found = self.objects.get(key)
        return found is not None and found.content == content

    @contextmanager
    def opened(self, run_date: str) -> Iterator[list[Path]]:
        """The parts of the live run, fetched for as long as the block lasts."""
        with tempfile.TemporaryDirectory(prefix="rec-export-") as folder:
            yield self.fetched(run_date, Path(folder))

    def bring(self, run_date: str) -> None:
        """Copy the parts of the live run to `local`, but for those that are there."""
        self.copied(run_date, self.local(run_date).parent)

    def copied(self, run_date: str, root: Path) -> list[Path]:
        """The parts of the live run as files in run_date=... below `root`; what is there is not fetched again."""
        folder = root / f"run_date={run_date}"
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        paths = self.fetched(run_date, folder)
        for left in set(folder.glob("part-*.parquet")) - set(paths):  # of another run
            left.unlink()
        return paths

    def fetched(self, run_date: str, folder: Path) -> list[Path]:
        """The parts of the live run in a folder, each verified by its sha256."""
        version = self.version(run_date)
        manifest = self.manifest(run_date, version)
        self.refuse_other_parts(version, manifest)
        for part in manifest.files:
            if not unchanged(folder, part):
                key = f"{version.folder}/{part.name}"
                with tempfile.TemporaryDirectory(prefix=".", dir=folder) as own:  # others may fetch it at this moment
                    self.objects.fetch(key, Path(own) / part.name)
                    (Path(own) / part.name).replace(folder / part.name)
                if not unchanged(folder, part):
                    raise DataError(f"{self.url}/{key} is not what was published; {MEND_BUCKET}")
        return [folder / part.name for part in manifest.files]


def pointer_key(run_date: str) -> str:
    """The key of a date's pointer. Raises UsageError for what is no date."""
    if not RUN_DATE.fullmatch(run_date):
        raise UsageError(f"the run date is {run_date!r}, but should be like 2026-11-20")
    return f"{POINTERS}/run_date={run_date}.json"


def manifest_key(run_date: str, run_id: str, sha256: str) -> str:
    """The key of a manifest: by its content, so that it never changes."""
    return f"manifests/run_date={run_date}/{run_id}-{sha256[:DIGITS]}.json"


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def staging_of(url: str) -> Path:
    """Where runs for a URL are made, if nothing else is said: one folder of this user for each place."""
    try:
        home = Path.home()
    except RuntimeError as error:  # HOME is not set, and this user is in no list
        raise EnvironmentMissingError(
            f"no home folder is known, in which runs for {url} could be made; set HOME, or name --staging"
            " (nightly.staging)"
        ) from error
    return home / ".cache" / "rec-export" / quote(url.removeprefix(SCHEME), safe="")


def place_at(root: Path | str, staging: Path | None = None) -> Recs | Bucket:
    """The runs below a folder or a URL that are looked at. Raises UsageError where it is neither."""
    place = place_of(root)
    return Recs.found(place) if isinstance(place, Path) else Bucket(place, staging)
