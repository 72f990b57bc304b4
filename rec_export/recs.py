"""recs/: published lists as readers find them, and the files of a run once they are held against its manifest.

    recs/run_date=2026-11-20/part-00000-of-00004-<run_id>.parquet, _SUCCESS      the read root: committed runs only
    recs.control/manifests/run_date=2026-11-20/<run_id>.json                     written before the run is committed
    recs.control/failed/<run_id>/manifest.json, run_date=2026-11-20/             what the gates refused

The control folder is a sibling, because readers glob whatever lies below the root. Which run is live at a date is
told by the names of its parts and by nothing else.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from rec_export.errors import DataError, MissingInputError, ModelError, OutputExistsError, UsageError
from rec_export.files import sha256
from rec_export.run_manifest import PartFile, RunManifest, is_run

SCHEMA = "1"  # of the parts, for readers: another number where a column goes or means something else
CONTROL = ".control"  # behind the name of a read root
MARK = "_SUCCESS"  # empty; a courtesy for sensors
UNKNOWN_RUN = "an unknown run"
PARTLESS = "without its parts"
RUN_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
FOLDER = re.compile(rf"run_date=({RUN_DATE.pattern})")
PART = re.compile(r"part-\d{5}-of-\d{5}-([0-9a-f]{12})\.parquet")

KINDS = {"manifest.json": "a bundle", "spec.json": "a checkpoint", "manifests": "the control folder of a read root"}
"""What a folder is by a file in it."""

MEND = "restore it from a backup, go back with `rec-export rollback`, or make the run again with --replace"
AGAIN = "make the run again"


class Recs(NamedTuple):
    """A read root and its control folder."""

    root: Path
    control: Path

    @classmethod
    def at(cls, root: Path) -> Self:
        """The places that belong to a read root, which need not exist yet."""
        other = something_else(root)
        if other is not None:
            raise OutputExistsError(f"{root} {other}; name a directory for the recommendations")
        whole = root.resolve()  # "." and ".." have no name of their own
        if whole == whole.parent:
            raise UsageError(f"{root} cannot be a read root, as its control folder lies beside it; name one below it")
        return cls(root, whole.with_name(f"{whole.name}{CONTROL}"))

    @classmethod
    def found(cls, root: Path) -> Self:
        """The same, of a root that is looked at. Raises MissingInputError where something else lies there."""
        other = something_else(root)
        if other is not None:
            look = f"; `rec-export inspect {shlex.quote(str(root))}` looks at this" if root.is_dir() else ""
            raise MissingInputError(f"{root} {other}; name the --out of `score` or `nightly`{look}")
        return cls.at(root)

    def live(self, run_date: str) -> Path:
        """Where the run of a date is read."""
        if not RUN_DATE.fullmatch(run_date):
            raise UsageError(f"the run date is {run_date!r}, but should be like 2026-11-20")
        return self.root / f"run_date={run_date}"

    def where(self, run_date: str) -> str:
        """The same, for sentences."""
        return str(self.live(run_date))

    def local(self, run_date: str) -> Path:
        """The same: its parts are on this machine."""
        return self.live(run_date)

    def run_id(self, run_date: str) -> str | None:
        """The run that is live at a date."""
        return run_in(self.live(run_date))

    def refuse_changed(self, manifest: RunManifest) -> None:
        """Raise DataError where the parts of the live run are not what they were."""
        matched(self.live(manifest.run_date), manifest)

    def bring(self, run_date: str) -> None:
        """They are there."""

    @contextmanager
    def opened(self, run_date: str) -> Iterator[list[Path]]:
        """The parts of the live run, verified."""
        yield verified(self, run_date)

    def dates(self) -> list[str]:
        """The dates that have a run, the oldest first."""
        found = [path.name for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []
        return sorted(match[1] for match in map(FOLDER.fullmatch, found) if match)

    def date(self, run_date: str | None) -> str:
        """A date that has a run; the newest, if none is named."""
        dates = self.dates()
        if not dates:
            inner = self.root / "recs"  # where `run` puts it
            meant = f"did you mean {str(inner)!r}?" if inner.is_dir() else "name the --out of a run"
            raise MissingInputError(f"nothing is published below {self.root}; {meant}")
        wanted = run_date or dates[-1]
        if not self.live(wanted).is_dir():
            newest = ", ".join(dates[-3:])
            raise MissingInputError(f"nothing is published at {self.live(wanted)}; the newest dates: {newest}")
        return wanted

    def manifest(self, run_date: str, run_id: str) -> Path:
        """Where the manifest of a run lies."""
        return self.control / "manifests" / f"run_date={run_date}" / f"{run_id}.json"

    def told(self, run_date: str, run_id: str) -> RunManifest:
        """The manifest of a live run."""
        path, live = self.manifest(run_date, run_id), self.live(run_date)
        if run_id == PARTLESS:
            raise MissingInputError(f"{live} is live, but all its parts are gone; {MEND}")
        if not path.is_file():
            raise MissingInputError(
                f"{live} is live, but its manifest {path} is gone; restore it, or remove the run to make it again"
            )
        try:
            return RunManifest.read(path)
        except ModelError as error:
            raise ModelError(f"{error}; {MEND}") from error


class Refused(NamedTuple):
    """A run that the gates refused, as it is kept in the control folder."""

    folder: Path
    manifest: RunManifest

    @classmethod
    def found(cls, path: Path) -> Self | None:
        """The run at a path: its folder, or that of its parts. None: another thing lies there. Raises ModelError."""
        whole = path.resolve()  # "." has no name of its own
        folder = whole.parent if FOLDER.fullmatch(whole.name) else whole
        told = folder / "manifest.json"
        return cls(folder, RunManifest.read(told)) if is_run(told) else None

    @property
    def parts(self) -> Path:
        """Where its parts are."""
        return self.folder / f"run_date={self.manifest.run_date}"

    @property
    def recs(self) -> Recs:
        """The read root that it was made for; of evidence that was carried away, one without dates."""
        control = self.folder.parent.parent
        return Recs(control.parent / control.name.removesuffix(CONTROL), control)

    def verified(self) -> list[Path]:
        """The parts, after their names, sizes and hashes were held against the manifest. Raises as `verified` does."""
        if not self.parts.is_dir():
            raise MissingInputError(f"{self.parts}, which held what was refused, is gone; {AGAIN}")
        return matched(self.parts, self.manifest, AGAIN)


def something_else(root: Path) -> str | None:
    """Why a path that is there cannot be a read root."""
    if root.exists() and not root.is_dir():
        return "is a file"
    if is_run(root / "manifest.json"):
        return "is a run that the gates refused, and no read root"
    left = next((name for name in KINDS if (root / name).exists()), None)
    return None if left is None else f"is {KINDS[left]}, as it holds {left}, and no read root"


def run_in(folder: Path) -> str | None:
    """The run id of the parts in a folder; None without a folder.

    UNKNOWN_RUN where it holds something else, and PARTLESS where it holds nothing, so that nothing is lost with it.
    """
    try:
        names = {path.name for path in folder.iterdir()} - {MARK}
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return UNKNOWN_RUN
    found = {match[1] for name in names if (match := PART.fullmatch(name))}
    return found.pop() if len(found) == 1 else UNKNOWN_RUN if names else PARTLESS


def verified(recs: Recs, run_date: str) -> list[Path]:
    """The parts of the live run of a date, after their names, sizes and hashes were held against its manifest.

    A run that is replaced meanwhile is left for the one in its place. Raises DataError for a file that is missing,
    strange or changed, and MissingInputError where nothing is live.
    """
    live = recs.live(run_date)
    run_id = run_in(live)
    if run_id is None:
        raise MissingInputError(f"nothing is published at {live}")
    try:
        return matched(live, recs.told(run_date, run_id))
    except (OSError, DataError):
        if run_in(live) == run_id:
            raise
    return verified(recs, run_date)


def matched(live: Path, manifest: RunManifest, mend: str = MEND) -> list[Path]:
    """The parts in a folder, which must be those of a manifest. Raises DataError, which ends with how to `mend` it."""
    found = {path.name for path in live.iterdir()} - {MARK}
    wanted = {part.name for part in manifest.files}
    for what, names in (("missing from", wanted - found), ("strange to", found - wanted)):
        if names:
            raise DataError(
                f"{len(names)} files are {what} the run {manifest.run_id} in {live}, such as {min(names)}; {mend}"
            )
    changed = [part.name for part in manifest.files if not unchanged(live, part)]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(wanted)} parts in {live} are not what was written, the first being"
            f" {changed[0]}; {mend}"
        )
    return [live / part.name for part in manifest.files]


def unchanged(folder: Path, part: PartFile) -> bool:
    """Whether a part has the size and the hash that its record says."""
    path = folder / part.name
    return path.is_file() and path.stat().st_size == part.bytes and sha256(path) == part.sha256
