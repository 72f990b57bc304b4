"""recs/: published lists as readers find them, the manifest of each run, and its files once they are verified.

    recs/run_date=2026-11-20/part-00000-of-00004-<run_id>.parquet, _SUCCESS      the read root: committed runs only
    recs.control/manifests/run_date=2026-11-20/<run_id>.json                     written before the run is committed

The control folder is a sibling, because readers glob whatever lies below the root. Which run is live at a date is
told by the names of its parts and by nothing else.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, final

from pydantic import Field

from rec_export.errors import DataError, MissingInputError, OutputExistsError, UsageError
from rec_export.files import sha256
from rec_export.record import Record

FORMAT = 2
SCHEMA = "1"  # of the parts, for readers: another number where a column goes or means something else
MARK = "_SUCCESS"  # empty; a courtesy for sensors
UNKNOWN_RUN = "an unknown run"
SOURCES = ("model", "cold", "fallback")
RUN_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
FOLDER = re.compile(rf"run_date=({RUN_DATE.pattern})")
PART = re.compile(r"part-\d{5}-of-\d{5}-([0-9a-f]{12})\.parquet")

MEND = "restore it from a backup, go back with `rec-export rollback`, or make the run again with --replace"
Facts = dict[str, str | int]


def decided(rules: dict[str, Any]) -> Facts:
    """One hash of declared rules; nothing where there are none."""
    return {"rules": hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()} if rules else {}


@final
class PartFile(Record):
    """One Parquet file of a run."""

    name: str
    users: dict[str, int]  # by source
    short_lists: int  # users who get fewer than k items, because they have seen nearly all
    empty_lists: int  # those of them who get nothing, and so have no row
    rows: int
    bytes: int
    sha256: str
    capped: int = 0  # items of the lists without caps that caps keep out of them
    varied: int = 0  # items of the lists by score that the re-rank for diversity leaves out
    carried: int = 0  # users whose list was carried over from the run before
    sampled: int = 0  # those of them who were scored all the same, to the same list


@final
class RulesRun(Record):
    """The business rules of a run and what they leave out; each count is of that rule alone, whatever others do."""

    declared: dict[str, Any]  # as in the configuration, but for paths: the files' hashes are among the run's inputs
    approximate: tuple[str, ...]  # rules that look at the best items alone, not at all of them
    items_before: int  # that could be recommended without rules
    items: dict[str, int]  # of these, those that a rule leaves out for everybody
    unmatched: dict[str, int]  # rows of a list with an id that is in neither the bundle nor the files
    denied_pairs: int  # of a user who was scored and an item that could be recommended
    restricted_users: int  # users who were scored and have a list of their own
    short_of_own: int  # of these, those who can get fewer than k items of their list
    empty_of_own: int  # and those who can get none


@final
class Audit(Record):
    """What the lists of a run look like, read back from its parts. Shares are of the lists that are not empty."""

    broken: dict[str, int]  # what no list may have, by kind; see batch_jobs/audit.py
    items: int  # different items recommended
    first_item: float  # share of lists that begin with the item that begins most
    same_list: float  # share of the lists by the model that are one and the same
    flat_lists: float  # share of lists of several items with one and the same score


@final
class Recall(Record):
    """What approximate lists hold of the exact ones, for some users, by the parts that were written."""

    users: int  # whose exact lists were made as well
    recall: float  # mean share of a user's exact list that is in the published one
    least: float  # of these shares
    same: float  # share of the users whose lists hold the same items
    searched: bool  # False: such a model and catalogue are not ranked faster so, and all lists are exact


@final
class Verdict(Record):
    """What one gate says of a run."""

    gate: str
    verdict: Literal["passed", "warned", "refused", "forced", "skipped"]
    value: float | None
    limit: str
    reason: str | None = None  # why it was forced, or skipped


@final
class RunManifest(Record):
    """What a run is and where it came from."""

    format: int = FORMAT
    run_id: str
    run_date: str
    made_by: str
    made_with: dict[str, str] = Field(default_factory=dict)  # versions of what decides the bytes of a part
    started_at: str  # UTC, ISO 8601
    seconds: float
    stages: dict[str, float] = Field(default_factory=dict)  # seconds of each, up to the gates
    as_of: str | None  # the last moment that was looked at
    bundle: str  # sha256 of the bundle's manifest
    model_made_at: str | None = None
    inputs: dict[str, str]  # sha256 of the files that were read
    log_rows: int = 0  # up to the end of the run's date
    unknown_items: float | None = None  # share of them whose item the model was not trained on
    unknown_users: float | None = None  # share of them whose user the model was not trained on
    whom: str = "listed"
    k: int
    seen: str
    runtime: str
    device: str
    items: int
    replaces: str | None = None  # the run that was live at this date before
    everybody_because: str | None = None  # why an incremental run carried nothing over
    rules: RulesRun | None = None
    approximate: Recall | None = None  # None: every list is exact
    files: tuple[PartFile, ...]
    audit: Audit | None = None
    gates: tuple[Verdict, ...] = ()

    def facts(self) -> Facts:
        """What decides what a run says, but for its date."""
        facts: Facts = {
            "k": self.k,
            "seen": self.seen,
            "runtime": self.runtime,
            "whom": self.whom,
            "bundle": self.bundle,
        }
        facts |= {"approximate": 1} if self.approximate else {}
        return {**facts, **decided(self.rules.declared if self.rules else {}), **self.inputs}

    @property
    def rows(self) -> int:
        """The rows of all parts."""
        return sum(part.rows for part in self.files)

    @property
    def carried(self) -> int:
        """Users whose list was carried over from the run before."""
        return sum(part.carried for part in self.files)

    @property
    def sampled(self) -> int:
        """Those of them who were scored all the same."""
        return sum(part.sampled for part in self.files)

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
    def capped(self) -> int:
        """Items of the lists without caps that caps keep out of them."""
        return sum(part.capped for part in self.files)

    @property
    def varied(self) -> int:
        """Items of the lists by score that the re-rank for diversity leaves out."""
        return sum(part.varied for part in self.files)

    @property
    def users(self) -> dict[str, int]:
        """Users by source."""
        return {source: sum(part.users[source] for part in self.files) for source in SOURCES}


class Recs(NamedTuple):
    """A read root and its control folder."""

    root: Path
    control: Path

    @classmethod
    def at(cls, root: Path) -> Self:
        """The places that belong to a read root, which need not exist yet."""
        if root.exists() and not root.is_dir():
            raise OutputExistsError(f"{root} is a file; name a directory for the recommendations")
        for left in ("manifest.json", "spec.json", "manifests"):
            if (root / left).exists():
                raise OutputExistsError(f"{root} holds {left}, so it is no read root; name a directory of its own")
        whole = root.resolve()  # "." and ".." have no name of their own
        if whole == whole.parent:
            raise UsageError(f"{root} cannot be a read root, as its control folder lies beside it; name one below it")
        return cls(root, whole.with_name(f"{whole.name}.control"))

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
        found = [FOLDER.fullmatch(path.name) for path in self.root.iterdir()] if self.root.is_dir() else []
        return sorted(match[1] for match in found if match)

    def date(self, run_date: str | None) -> str:
        """A date that has a run; the newest, if none is named."""
        dates = self.dates()
        wanted = run_date or (dates[-1] if dates else None)
        if wanted is None:
            raise MissingInputError(f"nothing is published below {self.root}; name the --out of a run")
        if not self.live(wanted).is_dir():
            raise MissingInputError(f"nothing is published at {self.live(wanted)}; the newest are {dates[-3:]}")
        return wanted

    def manifest(self, run_date: str, run_id: str) -> Path:
        """Where the manifest of a run lies."""
        return self.control / "manifests" / f"run_date={run_date}" / f"{run_id}.json"

    def told(self, run_date: str, run_id: str) -> RunManifest:
        """The manifest of a live run."""
        path = self.manifest(run_date, run_id)
        if not path.is_file():
            live = self.live(run_date)
            raise MissingInputError(
                f"{live} is live, but its manifest {path} is gone; restore it, or remove the run to make it again"
            )
        return RunManifest.read(path)


def run_in(folder: Path) -> str | None:
    """The run id of the parts in a folder, "an unknown run" where it holds something else; None without a folder."""
    try:
        found = sorted({match[1] for path in folder.iterdir() if (match := PART.fullmatch(path.name))})
    except FileNotFoundError:
        return None
    return found[0] if len(found) == 1 else UNKNOWN_RUN


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


def matched(live: Path, manifest: RunManifest) -> list[Path]:
    """The parts in a folder, which must be those of a manifest."""
    found = {path.name for path in live.iterdir()} - {MARK}
    wanted = {part.name for part in manifest.files}
    for what, names in (("missing from", wanted - found), ("strange to", found - wanted)):
        if names:
            raise DataError(
                f"{len(names)} files are {what} the run {manifest.run_id} in {live}, such as {min(names)}; {MEND}"
            )
    changed = [part.name for part in manifest.files if not unchanged(live, part)]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(wanted)} parts in {live} are not what was published, the first being"
            f" {changed[0]}; {MEND}"
        )
    return [live / part.name for part in manifest.files]


def unchanged(folder: Path, part: PartFile) -> bool:
    """Whether a part has the size and the hash that its record says."""
    path = folder / part.name
    return path.is_file() and path.stat().st_size == part.bytes and sha256(path) == part.sha256
