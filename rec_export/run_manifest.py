"""The manifest of a run: what it is, where it came from, its parts, what its lists look like, what the gates said."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, final

from pydantic import Field

from rec_export.record import Record
from rec_export.words import counted

FORMAT = 2
STRUCTURE = "structure"  # the gate that every run must pass: never to be forced
SOURCES = ("model", "cold", "fallback")
Facts = dict[str, str | int]


def decided(rules: dict[str, Any]) -> Facts:
    """One hash of declared rules; nothing where there are none."""
    return {"rules": hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()} if rules else {}


def is_run(path: Path) -> bool:
    """Whether a manifest.json is that of a run, not of a bundle: it alone says which run."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "run_id" in found


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
    as_of: str | None  # the moment of the log's last row up to the end of the run's date; None without time
    bundle: str  # sha256 of the bundle's manifest
    model_made_at: str | None = None
    inputs: dict[str, str]  # sha256 of the files that were read
    log_rows: int = 0  # up to the end of the run's date
    left_out: dict[str, int] = Field(default_factory=dict)  # other rows of the log, by what is wrong with them
    bad_rows: bool = False  # whether they were treated otherwise than in training
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
        facts |= {"bad_rows": 1} if self.bad_rows else {}
        return {**facts, **decided(self.rules.declared if self.rules else {}), **self.inputs}

    def rules_in_words(self) -> str | None:
        """What the business rules left out; None where there were none."""
        told = self.rules
        if told is None:
            return None
        said = [f"{name} leaves out {count:,} of {told.items_before:,} items" for name, count in told.items.items()]
        if "deny_by_user" in told.declared:
            said.append(f"deny_by_user {told.denied_pairs:,} pairs")
        if "allow_by_user" in told.declared:
            said.append(f"allow_by_user binds {told.restricted_users:,} users")
        if "caps" in told.declared:
            said.append(f"caps keep items out of {counted(self.capped, 'place')} of lists")
        if "diversity" in told.declared:
            said.append(f"diversity (approximate) changes {self.varied:,} items")
        if "popularity_penalty" in told.declared:
            said.append(f"popularity_penalty {told.declared['popularity_penalty']:g}")
        strange = [f"{count:,} of {name}" for name, count in told.unmatched.items() if count]
        if strange:
            said.append(f"ids that nothing is known of: {', '.join(strange)}")
        return ", ".join(said)

    @property
    def unjudged(self) -> bool:
        """Whether no gate was asked but the one that every run must pass, as of what `score` publishes."""
        return all(one.gate == STRUCTURE for one in self.gates)

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
