"""Whether a night's lists are fit to be published: write, audit, publish; the thresholds are those of the config.

The pattern is Write-Audit-Publish: the run is whole and on the disk, but nobody sees it yet; what is refused is kept
to be looked at, and what is live stays live. Nights are compared with the newest published date before theirs.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from math import log2
from pathlib import Path
from statistics import median
from typing import NamedTuple, final

from batch_jobs.audit import Evidence, one_in, overlap, step_for
from batch_jobs.drift import stability
from batch_jobs.own_check import code_of, words_of
from batch_jobs.own_items import own_before_others
from batch_jobs.task import Task
from batch_jobs.untried import untried_share
from rec_export.errors import DataError, MissingInputError, ModelError, UsageError, nearest
from rec_export.published import Published
from rec_export.redact import redacted
from rec_export.run_manifest import SOURCES, STRUCTURE, RunManifest, Verdict
from rec_export.thresholds import Gates
from rec_export.words import other

log = logging.getLogger("rec_export")
TINY = 1e-9  # for no rows at all
NAMES = (
    STRUCTURE, "covered", "short_lists", "part_rows", "flat_lists", "same_list", "first_item", "unknown_items",
    "unknown_users", "bad_rows", "log_rows", "users", "items", "first_item_growth", "sources", "overlap", "score_shift",
    "newest_event", "model_age", "recall", "untried", "own_items", "command",
)  # fmt: skip
ROWS = "of the log's rows"
NAMES_IT = "; `rec-export diff` of the run that is kept names the item"
BESIDE = ("overlap", "score_shift")  # which read the lists of the night before
COMPARED = ("log_rows", "users", "items", "first_item_growth", "sources", "overlap", "score_shift")


class Candidate(NamedTuple):
    """A run that is written, but not published."""

    recs: Published
    folder: Path  # of its parts
    manifest: RunManifest  # with its audit, but without verdicts
    evidence: Evidence
    task: Task


Judge = Callable[[Candidate], tuple[Verdict, ...]]


def structure(candidate: Candidate) -> tuple[Verdict, ...]:
    """The one gate that every run must pass."""
    assert candidate.manifest.audit is not None
    broken = candidate.manifest.audit.broken
    said = "; ".join(f"{count:,} {kind}" for kind, count in broken.items())
    return (verdict(STRUCTURE, sum(broken.values()), "0 broken promises", not broken, reason=said or None),)


def judged_before(run: RunManifest, judge: Judge) -> bool:
    """Whether a run that is live was asked more than the one gate, if `judge` asks more."""
    return judge is structure or not run.unjudged


@final
class Gatekeeper:
    """All gates, with thresholds from a configuration. `forced`: gates that a person answers for, and the reason."""

    def __init__(self, gates: Gates, forced: tuple[str, ...] = (), reason: str | None = None) -> None:
        unknown = [name for name in forced if name not in NAMES]
        if unknown:
            raise UsageError(f"there is no gate {unknown[0]!r}{nearest(unknown[0], NAMES)}")
        if STRUCTURE in forced:
            raise UsageError(f"the gate {STRUCTURE!r} cannot be forced: readers could not read such lists aright")
        if forced and not (reason or "").strip():
            raise UsageError("--force-gate needs a --reason, which is recorded with the run")
        self.gates, self.forced, self.reason = gates, forced, reason
        self.words = words_of(gates.command)

    def __call__(self, candidate: Candidate) -> tuple[Verdict, ...]:
        """What each gate says."""
        before = last_before(candidate.recs, candidate.manifest.run_date)
        found = [*structure(candidate), *self.alone(candidate.manifest), *self.compared(candidate, before)]
        found += [*self.fresh(candidate.manifest), self.untried(candidate), self.taste(candidate.task)]
        found += self.asked(candidate.folder)
        return tuple(self.answered_for(one) for one in found)

    def alone(self, run: RunManifest) -> Iterator[Verdict]:
        """Gates on the run itself."""
        gates, audit, users = self.gates, run.audit, max(sum(run.users.values()), 1)
        assert audit is not None
        own = (0, 0) if run.rules is None else (run.rules.empty_of_own, run.rules.short_of_own)  # as a rule wants it
        yield at_least("covered", 1 - (run.empty_lists - own[0]) / users, gates.covered, "of users")
        short = at_most("short_lists", (run.short_lists - own[1]) / users, gates.short_lists, "of lists")
        yield hinted(short, f"; of {run.items:,} items no list of {run.k} can be made" if run.items < run.k else "")
        yield self.even(run)
        yield at_most("flat_lists", audit.flat_lists, gates.flat_lists, "of lists")
        yield at_most("same_list", audit.same_list, gates.same_list, "of the model's lists")
        yield at_most("first_item", audit.first_item, gates.first_item, "of lists")
        yield at_most("unknown_items", run.unknown_items or 0.0, gates.unknown_items, ROWS)
        yield at_most("unknown_users", run.unknown_users or 0.0, gates.unknown_users, ROWS)
        left_out = sum(run.left_out.values())
        yield at_most("bad_rows", left_out / max(run.log_rows + left_out, 1), gates.bad_rows, ROWS)
        if run.approximate is not None:
            yield at_least("recall", run.approximate.recall, gates.recall, "of the exact lists")

    def even(self, run: RunManifest) -> Verdict:
        """Whether one part holds many more, or fewer, rows a user than most do."""
        limit = self.gates.part_rows
        rows = [part.rows / max(sum(part.users.values()), 1) for part in run.files]
        middle = median(rows) or 1.0
        worst = max((row / middle for row in rows), key=lambda ratio: abs(log2(max(ratio, TINY))))
        said = f"{1 / limit:g}..{limit:g} times the median"
        return verdict("part_rows", worst, said, 1 / limit <= worst <= limit, hard=False)

    def compared(self, candidate: Candidate, before: RunManifest | None) -> Iterator[Verdict]:
        """Gates beside the night before."""
        if before is None or before.audit is None:
            why = "no date was published before" if before is None else f"{before.run_date} was not audited"
            yield from (skipped(name, why) for name in COMPARED)
            return
        gates, run = self.gates, candidate.manifest
        assert run.audit is not None
        now, then = sum(run.users.values()), max(sum(before.users.values()), 1)
        yield at_least("log_rows", run.log_rows / max(before.log_rows, 1), gates.log_rows, "of the rows before")
        low, high = 1 - gates.users_lost, 1 + gates.users_gained
        yield verdict("users", now / then, f"{low:g}..{high:g} times {then:,}", low <= now / then <= high)
        yield at_least("items", run.audit.items / max(before.audit.items, 1), gates.items_kept, "of the items before")
        growth = run.audit.first_item / (before.audit.first_item or 1.0)
        yield hinted(at_most("first_item_growth", growth, gates.first_item_growth, "times that before"), NAMES_IT)
        shares = [abs(run.users[s] / max(now, 1) - before.users[s] / then) for s in SOURCES]
        yield at_most("sources", max(shares), gates.sources, "of users in another source")
        yield from self.beside(candidate, before)

    def beside(self, candidate: Candidate, before: RunManifest) -> Iterator[Verdict]:
        """Gates that read the lists of the night before."""
        step = step_for(sum(candidate.manifest.users.values()))
        folder = candidate.recs.local(before.run_date)
        try:
            candidate.recs.bring(before.run_date)
            then = Evidence.together(Evidence.of(folder / part.name, one_in(step)) for part in before.files)
        except (DataError, MissingInputError, ModelError) as error:  # which is no fault of tonight's lists
            why = f"cannot be asked, as {error}"
            yield from (Verdict(gate=name, verdict="warned", value=None, limit="", reason=why) for name in BESIDE)
            return
        yield self.churn(candidate, then)
        yield self.drift(candidate, before, then)

    def churn(self, candidate: Candidate, then: Evidence) -> Verdict:
        """How much of the lists of the night before is still there, for a sample of users."""
        share = overlap(candidate.evidence.sample, then.sample)
        if share is None and candidate.manifest.whom == "listed":
            return skipped(
                "overlap", "no user of the sample is in both nights, and only those who are listed are scored"
            )
        if share is None and not (len(candidate.evidence.sample) and len(then.sample)):
            return skipped("overlap", "no user of the sample has a list in one of both nights")
        if share is None:
            found = at_least("overlap", 0.0, self.gates.overlap, "of the items of the longer lists")
            return hinted(found, ", and no user of the sample is in both nights: are the ids of another kind?")
        if share >= self.gates.stale_overlap:
            limit = f"less than {self.gates.stale_overlap:g}: is the input of the same day?"
            return verdict("overlap", share, limit, False, hard=False)
        return at_least("overlap", share, self.gates.overlap, "of the items of the longer lists")

    def drift(self, candidate: Candidate, before: RunManifest, then: Evidence) -> Verdict:
        """How far the model's scores have moved; a new model may have scores of its own, and is only warned of."""
        gates, mine, theirs = self.gates, candidate.manifest.facts(), before.facts()
        unlike = [name for name in ("k", "seen", "rules") if mine.get(name) != theirs.get(name)]
        if unlike:
            return skipped("score_shift", f"made with {other(unlike)}")
        index = stability(then.scores, candidate.evidence.scores)
        if index is None:
            return skipped("score_shift", "no list by the model in one of both nights")
        same = mine["bundle"] == theirs["bundle"]
        if index > gates.score_shift and same:
            return at_most("score_shift", index, gates.score_shift)
        limit = f"at most {gates.score_shift_warned:g}" + (f" (refused above {gates.score_shift:g})" if same else "")
        return verdict("score_shift", index, limit, index <= gates.score_shift_warned, hard=False)

    def fresh(self, run: RunManifest) -> Iterator[Verdict]:
        """Gates on the age of the log, at the end of the run's date or now, whichever is earlier, and of the model."""
        now, end = datetime.now(UTC), datetime.fromisoformat(run.run_date).replace(tzinfo=UTC) + timedelta(days=1)
        if run.as_of is None:
            yield skipped("newest_event", "the log has no times")
        else:
            hours = max((min(now, end) - newest(run.as_of)) / timedelta(hours=1), 0.0)
            found = at_most("newest_event", hours, self.gates.newest_event_hours, "hours")
            why = (
                f"; the newest row is of {run.as_of[:10]}: is the log still written? If that was the newest, give its"
                " day as --run-date, or raise newest_event_hours"
            )
            yield hinted(found, why)
        if run.model_made_at is not None:
            days = (now - datetime.fromisoformat(run.model_made_at)) / timedelta(days=1)
            limit = f"at most {self.gates.model_days:g} days"
            yield verdict("model_age", days, limit, days <= self.gates.model_days, hard=False)

    def untried(self, candidate: Candidate) -> Verdict:
        """Whether the lists are mostly of what nobody ever liked, of which a model knows little."""
        share = untried_share(candidate.task, candidate.evidence.item)
        if isinstance(share, str):
            return skipped("untried", share)
        found = at_most("untried", share, self.gates.untried, "of places")
        return hinted(found, ", which hold what nobody ever liked: does the table of items hold what is long gone?")

    def taste(self, task: Task) -> Verdict:
        """Whether the model tells one user's items from another's, which needs no night before."""
        share = own_before_others(task)
        if isinstance(share, str):
            return skipped("own_items", share)
        found = at_least("own_items", share, self.gates.own_items, "of cases")
        why = ", and 0.5 is chance: `verify` the bundle, and see whether items or users were mixed up"
        return hinted(found, why)

    def asked(self, folder: Path) -> Iterator[Verdict]:
        """The team's own check: its exit code decides."""
        if self.words:
            code = code_of(self.words, folder)
            yield verdict("command", code, "exit code 0", code == 0, reason=redacted(self.gates.command or ""))

    def answered_for(self, one: Verdict) -> Verdict:
        """A refusal that a person has overruled."""
        if one.verdict != "refused" or one.gate not in self.forced:
            return one
        return one.model_copy(update={"verdict": "forced", "reason": redacted(self.reason or "")})


def newest(as_of: str) -> datetime:
    """The time of a log's newest row; midnight sharp is a date without a time, which stands for its whole day."""
    time = datetime.fromisoformat(as_of)
    return time if time.time() != clock.min else time + timedelta(days=1)


def last_before(recs: Published, run_date: str) -> RunManifest | None:
    """The manifest of the newest live run of an earlier date, of those whose manifest can be read; None without any."""
    for date in reversed(recs.dates()):
        if date < run_date:
            try:
                return recs.told(date, str(recs.run_id(date)))
            except (MissingInputError, ModelError) as error:
                log.warning("%s, so tonight is not compared with %s", error, date)
    return None


def hinted(found: Verdict, why: str) -> Verdict:
    """A verdict that says, unless it is passed, what to look at."""
    return found if found.verdict == "passed" else found.model_copy(update={"limit": found.limit + why})


def at_least(gate: str, value: float, limit: float, unit: str = "") -> Verdict:
    """Passed from `limit` on."""
    return verdict(gate, value, f"at least {limit:g} {unit}".strip(), value >= limit)


def at_most(gate: str, value: float, limit: float, unit: str = "") -> Verdict:
    """Passed up to `limit`."""
    return verdict(gate, value, f"at most {limit:g} {unit}".strip(), value <= limit)


def verdict(
    gate: str, value: float, limit: str, passed: bool, *, hard: bool = True, reason: str | None = None
) -> Verdict:
    """What a gate says of a value; one that is not hard only warns."""
    said = "passed" if passed else "refused" if hard else "warned"
    return Verdict(gate=gate, verdict=said, value=round(value, 4), limit=limit, reason=reason)


def skipped(gate: str, reason: str) -> Verdict:
    """A gate that cannot be asked, which is said."""
    return Verdict(gate=gate, verdict="skipped", value=None, limit="", reason=reason)


def sentence(verdicts: tuple[Verdict, ...]) -> str:
    """The refusals as one clause."""
    return "; ".join(clause(one) for one in verdicts if one.verdict == "refused")


def clause(one: Verdict) -> str:
    """What a gate found wrong."""
    if one.value is None:
        return f"{one.gate} {one.reason}"
    return f"{one.gate} is {one.value:g}, but should be {one.limit}" + (f" ({one.reason})" if one.reason else "")


def answer(verdicts: tuple[Verdict, ...]) -> str:
    """What a person can do about refusals, as a clause to follow; nothing where one of them cannot be forced."""
    refused = [one.gate for one in verdicts if one.verdict == "refused"]
    if STRUCTURE in refused:
        return ""
    words = " ".join(f"--force-gate {gate}" for gate in refused)
    return f"; mend the input, or answer for it: {words} --reason TEXT"
