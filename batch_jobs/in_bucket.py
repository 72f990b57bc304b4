"""A bucket as a destination: parts are uploaded under new names, and the commit is one conditional write of a pointer.

A killed upload goes on where it was, as work/<run_id>/attempt.json says where to. What follows the commit is derived
by `settle`, which every start repeats.
"""

import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import final

from batch_jobs import sweeping
from batch_jobs.destination import Destination
from batch_jobs.place import refuse_folders
from batch_jobs.probe import refuse_careless
from batch_jobs.publish import keep_basis, leave_clean, lock_of, make_folder
from batch_jobs.work import read_or_none
from rec_export.bucket import POINTERS, Bucket, Past, Pointer, Version, digest, manifest_key
from rec_export.config import Retention
from rec_export.errors import DataError, OutputExistsError, RecExportError
from rec_export.files import locked, storage_errors
from rec_export.progress import track
from rec_export.published import Withdrawal
from rec_export.record import Record
from rec_export.run_manifest import RunManifest

log = logging.getLogger("rec_export")
FRESH = timedelta(days=1)  # an attempt goes on, long before anybody takes its parts for left over (sweeping.py)
VIEWS = "views/symlink"
ATTEMPT = "attempt.json"


@final
class Attempt(Record):
    """attempt.json: where the parts of a run are uploaded to."""

    folder: str
    seal: str  # of the parts' hashes
    begun: datetime


@final
class InBucket(Destination):
    """A bucket, and the staging folder on this machine."""

    def __init__(self, bucket: Bucket) -> None:
        self.recs: Bucket = bucket
        self.objects = bucket.objects

    @contextmanager
    def claimed(self, *, anywhere: bool = False) -> Iterator[None]:
        """By a lock in the staging folder; who works in another one is met at the commit."""
        control = self.recs.control
        if not anywhere:
            self.refuse_open()
        with storage_errors(control), locked(lock_of(control)):
            try:
                refuse_careless(self.objects)
                self.settle()
                yield
            finally:
                leave_clean(control)

    @contextmanager
    def joined(self, *, anywhere: bool = False) -> Iterator[None]:
        """By the same lock, shared."""
        if not anywhere:
            self.refuse_open()
        with storage_errors(self.recs.control), locked(lock_of(self.recs.control), shared=True):
            yield

    def refuse_open(self) -> None:
        """Of the staging folder."""
        refuse_folders([self.recs.control], self.recs.url)

    def refuse_unfit(self, replaces: bool) -> None:
        """Whoever could claim it can."""

    def publish(self, parts: Path, manifest: RunManifest) -> bool:
        """Parts and manifest first, then the pointer."""
        attempt = attempt_at(parts.parent, manifest)
        self.upload(parts, manifest, attempt.folder)
        content = manifest.as_json().encode()
        version = Version(run_id=manifest.run_id, folder=attempt.folder, manifest=digest(content))
        self.recs.refuse_other_parts(version, manifest)
        self.objects.create(manifest_key(manifest.run_date, manifest.run_id, version.manifest), content)
        if not self.point(manifest.run_date, manifest.replaces, version):
            return self.lost(parts.parent, manifest, attempt.folder)
        with forgiven("the lists are live, but not everything that follows is done yet"):
            self.objects.delete(self.objects.list(f"failed/{manifest.run_id}"))  # it is refused no longer
            self.settle()
        return True

    def upload(self, parts: Path, manifest: RunManifest, folder: str) -> None:
        """Create the objects that are not there yet; nobody else writes in that folder."""
        there = self.objects.list(folder)
        for part in track(manifest.files, len(manifest.files), "uploading"):
            key = f"{folder}/{part.name}"
            if key not in there:
                self.objects.upload(key, parts / part.name)

    def point(
        self, run_date: str, replaced: str | None, live: Version | None, *, back: Withdrawal | None = None
    ) -> bool:
        """The one step that readers see, and what is recorded with it. False where another run is there by now, or the
        one to put `back` is kept no longer.
        """
        read = self.recs.read(run_date)
        was, now = read.pointer, datetime.now(UTC).isoformat(timespec="seconds")
        if live is not None and was.live is not None and was.live.folder == live.folder:
            return True  # a write that was given up has come after all
        if (was.live and was.live.run_id) != replaced:
            return False
        if back is not None and live is not None and live not in [one.version for one in was.past]:
            return False
        past = [one for one in was.past if live is None or one.version.folder != live.folder]
        if was.live is not None:
            past.insert(0, Past(version=was.live, until=now))
        good = {live and live.run_id, back and back.run_id}
        withdrawn = [one for one in was.withdrawn if one.run_id not in good] + ([back] if back and back.run_id else [])
        new = Pointer(run_date=run_date, live=live, past=tuple(past), doomed=was.doomed, withdrawn=tuple(withdrawn))
        return self.recs.commit(read, new)

    def lost(self, work: Path, manifest: RunManifest, folder: str) -> bool:
        """Take away what was uploaded in vain. False where the winner published the same run; raises if another."""
        with forgiven("what was uploaded in vain could not be removed; a later night will"):
            self.objects.delete(self.objects.list(folder))
        (work / ATTEMPT).unlink(missing_ok=True)
        if self.recs.run_id(manifest.run_date) == manifest.run_id:
            shutil.rmtree(work)
            log.info("somebody else has just published the run %s", manifest.run_id)
            return False
        where = self.recs.where(manifest.run_date)
        raise OutputExistsError(f"{where} was changed while this run was made; look at it, then run the command again")

    def settle(self) -> None:
        """Bring views and staging folder in line with what is live."""
        for parts in self.recs.control.glob("work/*/run_date=*"):
            attempt, run_date = read_or_none(Attempt, parts.parent / ATTEMPT), parts.name.removeprefix("run_date=")
            if attempt is not None:
                self.settle_attempt(attempt, parts, run_date)
        self.renew_views()

    def settle_attempt(self, attempt: Attempt, parts: Path, run_date: str) -> None:
        """What was committed and then killed is done; where it was replaced since, its folder is no longer ours."""
        read = self.recs.read(run_date)
        if read.pointer.live is not None and read.pointer.live.folder == attempt.folder:
            self.keep(parts, run_date)
        elif attempt.folder in sweeping.folders_of(read):
            (parts.parent / ATTEMPT).unlink()

    def keep(self, parts: Path, run_date: str) -> None:
        """The parts of the newest date stay on this machine, as the next night is compared with them."""
        control, work = self.recs.control, parts.parent
        if self.recs.dates()[-1:] == [run_date]:
            keep_basis(control, work)
            for basis in control.glob("basis/*"):
                if basis.name != work.name:
                    shutil.rmtree(basis)
            shutil.rmtree(control / "copies", ignore_errors=True)
            make_folder(self.recs.local(run_date).parent)
            os.rename(parts, self.recs.local(run_date))
        shutil.rmtree(work)

    def renew_views(self) -> None:
        """Write the views that are older than their pointer; one that cannot be written keeps no other from it."""
        with forgiven("views may not be of what is live yet"):
            pointers, views = self.objects.list(POINTERS), self.objects.list(VIEWS)
            for key, pointer in pointers.items():
                run_date = key.rpartition("/run_date=")[2].removesuffix(".json")
                view = views.get(view_key(run_date))
                if view is None or view.modified <= pointer.modified:
                    with forgiven(f"the view of {run_date} is not of what is live yet"):
                        self.renew_view(run_date)

    def renew_view(self, run_date: str) -> None:
        """Write a view; once more where the pointer was changed meanwhile."""
        read = self.recs.read(run_date)
        urls = [] if read.pointer.live is None else self.recs.addresses(run_date, read.pointer.live)
        self.objects.put(view_key(run_date), "".join(f"{url}\n" for url in urls).encode())
        if self.recs.read(run_date).tag != read.tag:
            self.renew_view(run_date)

    def retire(self, keep: Retention, published: str) -> None:
        """The pointer stays, and names nothing."""
        with forgiven("the dates beyond the retention could not be taken away"):
            for run_date in self.recs.dates()[: -keep.dates]:
                if run_date != published:
                    self.point(run_date, self.recs.run_id(run_date), None)
            self.renew_views()

    def empty(self, keep: Retention) -> None:
        """In the bucket, and the refused runs on this machine."""
        with forgiven("what is older than the retention could not be removed"):
            sweeping.empty(self.recs, keep)

    def kept(self, run_date: str) -> list[str]:
        """Those that the pointer names."""
        pointer = self.recs.read(run_date).pointer
        runs = dict.fromkeys(one.version.run_id for one in pointer.past)
        return [run for run in runs if pointer.live is None or run != pointer.live.run_id]

    def damaged(self, run_date: str, run_id: str) -> list[str]:
        """By name and size."""
        version = self.recs.version(run_date, run_id)
        try:
            self.recs.refuse_other_parts(version, self.recs.manifest(run_date, version))
        except DataError as error:
            return [str(error).partition(";")[0]]
        return []

    def put_back(self, done: Withdrawal) -> None:
        """By the pointer."""
        instead = None if done.instead is None else self.recs.version(done.run_date, done.instead)
        if not self.point(done.run_date, done.run_id or None, instead, back=done):
            where = self.recs.where(done.run_date)
            raise OutputExistsError(f"{where} was changed meanwhile; look at it, then run the command again")
        self.renew_views()

    def withdrawn(self) -> tuple[Withdrawal, ...]:
        """As the pointers say."""
        return tuple(one for read in self.recs.pointers() for one in read.pointer.withdrawn)

    def is_withdrawn(self, run_date: str, run_id: str) -> bool:
        """As the date's pointer says."""
        return any(one.run_id == run_id for one in self.recs.read(run_date).pointer.withdrawn)

    def keep_report(self, evidence: Path | None) -> None:
        """In the bucket, as this machine may be gone tomorrow; the parts of a refused run stay here."""
        with forgiven("the report could not be put into the bucket"):
            self.objects.put("report.json", (self.recs.control / "report.json").read_bytes())
            for path in evidence.glob("*.*") if evidence else ():
                if path.name in ("report.json", "report.md", "manifest.json"):
                    self.objects.put(f"failed/{path.parent.name}/{path.name}", path.read_bytes())

    def report(self) -> str | None:
        """What the last night left, on whatever machine."""
        found = self.objects.get("report.json")
        return found and found.content.decode(errors="replace")

    def refused(self) -> dict[str, str | None]:
        """Those whose report is in the bucket."""
        told = {key: one.modified for key, one in self.objects.list("failed").items() if key.endswith("/report.json")}
        found = {key: self.objects.get(key) for key in sorted(told, key=lambda key: told[key], reverse=True)}
        return {key.split("/")[1]: one and one.content.decode(errors="replace") for key, one in found.items()}


def attempt_at(work: Path, manifest: RunManifest) -> Attempt:
    """Where the parts go: on with the attempt that was begun with the same parts, or to a folder of a new name."""
    seal = hashlib.sha256("".join(part.sha256 for part in manifest.files).encode()).hexdigest()
    begun = read_or_none(Attempt, work / ATTEMPT)
    if begun is not None and begun.seal == seal and datetime.now(UTC) - begun.begun < FRESH:
        return begun
    folder = f"data/run_date={manifest.run_date}/{manifest.run_id}-{secrets.token_hex(4)}"
    attempt = Attempt(folder=folder, seal=seal, begun=datetime.now(UTC))
    attempt.write(work / ATTEMPT)
    return attempt


def view_key(run_date: str) -> str:
    """The key of the list of a date's URLs."""
    return f"{VIEWS}/run_date={run_date}/manifest"


@contextmanager
def forgiven(what: str) -> Iterator[None]:
    """Tell of a mistake and go on: what comes after the commit cannot undo it."""
    try:
        yield
    except (OSError, RecExportError) as error:
        log.warning("%s: %s", what, error)
