"""A read root, one run below it, or one that was refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rec_export.errors import DataError, MissingInputError
from rec_export.inspection.shown import Inspection, Row, Section, size, table
from rec_export.recs import FOLDER, PARTLESS, Recs, Refused, run_in, verified
from rec_export.run_manifest import RunManifest
from rec_export.words import counted

RUN_HEAD = "date", "run", "users", "rows", "k", "model made at", "size", "gates"
GATE_HEAD = "gate", "verdict", "value", "limit"


def root(folder: Path) -> Inspection:
    """All dates of a read root; the parts of the newest are held against their manifest. Raises DataError."""
    recs = Recs.at(folder)
    newest = recs.date(None)
    verified(recs, newest)
    runs = {date: manifest_of(recs, date) for date in recs.dates()}
    facts = {"newest": newest, "runs": {date: told.model_dump(mode="json") for date, told in runs.items() if told}}
    dates = [(date, *summary(recs, date, told)) for date, told in runs.items()]
    sections = (
        *table("Dates", dates, RUN_HEAD),
        *table("The newest", described(recs.told(newest, live(recs, newest)))),
    )
    parts = f"the parts of {newest} by the sha256 in its manifest; `verify-run` checks every date and list"
    return Inspection("read root", folder, parts, facts, sections)


def run(folder: Path) -> Inspection:
    """One run, whose parts are held against its manifest. Raises DataError where they are not what was published."""
    match = FOLDER.fullmatch(folder.name)
    assert match
    recs, date = Recs.at(folder.parent), match[1]
    parts = verified(recs, date)
    manifest = recs.told(date, live(recs, date))
    told = f"{counted(len(parts), 'part')} by the sha256 in {recs.manifest(date, manifest.run_id)}"
    return Inspection("run", folder, told, *laid_out(manifest))


def refused(folder: Path, kept: Refused) -> Inspection:
    """A run that the gates refused, whose parts are held against its manifest. Raises DataError."""
    told = f"{counted(len(kept.verified()), 'part')} by the sha256 in {kept.folder / 'manifest.json'}"
    return Inspection("refused run", folder, told, *laid_out(kept.manifest))


def laid_out(manifest: RunManifest) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """A run for machines, and for people."""
    files = [(part.name, size(part.bytes), f"{part.rows:,}", part.sha256[:12]) for part in manifest.files]
    gates = [
        (one.gate, one.verdict, "" if one.value is None else f"{one.value:g}", one.limit) for one in manifest.gates
    ]
    sections = (
        *table("Run", described(manifest)),
        *table("Gates", gates, GATE_HEAD),
        *table("Files", files, ("part", "size", "rows", "sha256")),
    )
    return {"manifest": manifest.model_dump(mode="json")}, sections


def live(recs: Recs, date: str) -> str:
    """The run that readers find at a date."""
    found = run_in(recs.live(date))
    if found is None:
        raise MissingInputError(f"nothing is published at {recs.live(date)}")
    return found


def manifest_of(recs: Recs, date: str) -> RunManifest | None:
    """The manifest of what is live at a date; None where it is gone."""
    try:
        return recs.told(date, live(recs, date))
    except (MissingInputError, DataError):
        return None


def summary(recs: Recs, date: str, told: RunManifest | None) -> Row:
    """A run on one line."""
    if told is None:
        found = live(recs, date)
        return found, "restore them" if found == PARTLESS else "its manifest is gone", "", "", "", "", ""
    asked = [one for one in told.gates if one.verdict != "skipped"]
    verdicts = [one.verdict for one in asked if one.verdict != "passed"]
    users, made = f"{sum(told.users.values()):,}", told.model_made_at or ""
    unasked = [one.gate for one in asked] == ["structure"]  # of `score`
    said = ", ".join(sorted(set(verdicts))) or ("none asked" if unasked else "passed")
    return told.run_id, users, f"{told.rows:,}", str(told.k), made, size(told.bytes), said


def described(manifest: RunManifest) -> Iterator[Row]:
    """What a run is, and what it was made from."""
    yield "date and run", f"{manifest.run_date}, {manifest.run_id}"
    sources = ", ".join(f"{count:,} {source}" for source, count in manifest.users.items() if count)
    yield "users", f"{sum(manifest.users.values()):,} ({sources})"
    yield "rows", f"{manifest.rows:,}, {manifest.short_lists:,} short lists, {manifest.empty_lists:,} empty"
    yield "items", f"{manifest.items:,} eligible" + (f", {manifest.audit.items:,} listed" if manifest.audit else "")
    yield "lists", f"k {manifest.k}, seen {manifest.seen}, {manifest.runtime} on {manifest.device}"
    yield "as of", manifest.as_of or "no time in the log"
    yield "log", f"{manifest.log_rows:,} rows"
    yield "begun", f"{manifest.started_at}, {manifest.seconds:g} s, by {manifest.made_by}"
    yield "made with", ", ".join(f"{name} {version}" for name, version in manifest.made_with.items())
    yield "sha256 of the bundle", f"{manifest.bundle} (made at {manifest.model_made_at})"
    yield from ((f"sha256 of {name}", digest) for name, digest in manifest.inputs.items())
