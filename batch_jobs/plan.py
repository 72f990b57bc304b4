"""What a run is, known before anything is looked at, and whether its date is free for it."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import torch

from batch_jobs.destination import Destination
from batch_jobs.job import ScoreJob
from rec_export.bundle import Bundle
from rec_export.config import MEANS, Scoring
from rec_export.data.read import fingerprint
from rec_export.device import device_of
from rec_export.errors import (
    DataError,
    MissingInputError,
    ModelError,
    OutputExistsError,
    RecExportError,
    UsageError,
)
from rec_export.files import sha256
from rec_export.progress import passed
from rec_export.published import Published
from rec_export.recs import PARTLESS, UNKNOWN_RUN
from rec_export.run_manifest import Facts, RunManifest, decided
from rec_export.sealed import MANIFEST, check_files, check_manifest
from rec_export.words import other

FARTHEST = 3 * 365  # days after today that a run may be dated; a clock that is wrong by less stops no night


class Plan(NamedTuple):
    """What a run is, known before anything is looked at."""

    run_id: str
    run_date: str
    bundle: Bundle
    how: Scoring
    device: torch.device
    facts: Facts
    hashes: dict[str, str]  # of the inputs


def planned(job: ScoreJob) -> Plan:
    """Check the bundle and hash the inputs."""
    refuse_far(job.run_date)
    if job.device is not None:
        device_of(job.device)  # a slip should not wait for the bundle's hashes
    folder = job.bundle.resolve()  # a link to it may be pointed elsewhere meanwhile
    if job.expect_model_sha256 is not None:
        refuse_other_model(folder, job.expect_model_sha256)
    bundle = Bundle.read(folder if folder.exists() else job.bundle)
    passed()
    how = job.scoring(bundle.manifest.blueprint.score, bundle.manifest.runtimes)
    if how.approximate and how.incremental:
        raise UsageError(
            "approximate lists cannot be carried over, as they also depend on other users; leave out approximate or"
            " incremental"
        )
    hashes = {}
    for name, path in job.inputs().items():
        hashes[name] = fingerprint(path)
        passed()
    sealed = sha256(bundle.folder / MANIFEST)
    whom = job.whom if job.users is not None else "all"  # where nobody is listed
    facts: Facts = {
        **how.model_dump(exclude=MEANS | {"approximate"}),
        **({"approximate": 1} if how.approximate else {}),
        "whom": whom,
        **({"bad_rows": 1} if changed_rows(bundle, job) else {}),
        "bundle": sealed,
        **decided(job.rules.declared()),
        **hashes,
    }
    run_date = job.run_date.isoformat()
    return Plan(identity(run_date, facts), run_date, bundle, how, device_of(how.device), facts, hashes)


def refuse_far(run_date: date) -> None:
    """Raise UsageError for a slip of the pen: what is newest stays what readers get, until that day."""
    today = datetime.now(UTC).date()
    ahead = (run_date - today).days
    if ahead > FARTHEST:
        raise UsageError(
            f"the run date {run_date} is {ahead:,} days after today, which is {today} by this machine's clock; give the"
            " day that was meant, as readers take the newest date"
        )


def changed_rows(bundle: Bundle, job: ScoreJob) -> bool:
    """Whether bad rows are treated otherwise than in training."""
    return job.bad_rows not in (None, bundle.manifest.blueprint.data.interactions.bad_rows)


def refuse_other_model(folder: Path, expected: str) -> None:
    """Raise ModelError where the bundle's manifest, and so any file of it, is not the one that was asked for."""
    found = sha256(folder / MANIFEST) if (folder / MANIFEST).is_file() else None
    if found not in (None, expected.strip().lower()):  # no bundle at all is told of by who reads it
        raise ModelError(
            f"the manifest of the bundle {folder} has the sha256 {found}, but should have {expected.strip()}; find out"
            " who changed the bundle, or expect the new one"
        )


def refuse_another_bundle(plan: Plan) -> None:
    """Raise DataError where the bundle is not what it was when the run began, as its models are read by now."""
    try:
        check_manifest(plan.bundle.folder)
        check_files(plan.bundle.folder, plan.bundle.manifest.files)
        same = sha256(plan.bundle.folder / MANIFEST) == plan.facts["bundle"]
    except RecExportError:
        same = False
    if not same:
        raise DataError(f"the bundle {plan.bundle.folder} was changed while it was read; run the command again")


def identity(run_date: str, facts: Facts) -> str:
    """The run id: 12 hex digits of everything that decides what the run says."""
    whole = {"date": run_date, **facts}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]


def facts_of(recs: Published, run_date: str, run_id: str) -> Facts:
    """What a manifest says that decided its run; nothing where it is gone or damaged."""
    try:
        return recs.told(run_date, run_id).facts()
    except (MissingInputError, ModelError):
        return {}


def already(recs: Published, plan: Plan, replace: bool) -> RunManifest | None:
    """The manifest of the run that is live; None where it is damaged and may be replaced. Raises DataError if not."""
    try:
        manifest = recs.told(plan.run_date, plan.run_id)
        recs.refuse_changed(manifest)
    except (DataError, MissingInputError, ModelError):
        if not replace:
            raise
        return None
    return manifest


def refuse_taken(place: Destination, plan: Plan, live: str | None, replace: bool) -> None:
    """Raise OutputExistsError where readers have another run of that date, or had this one and it was taken back."""
    where = place.recs.where(plan.run_date)
    if live == UNKNOWN_RUN:
        raise OutputExistsError(f"{where} holds what rec-export did not write; move it away")
    if replace:
        place.refuse_unfit(replaces=live is not None)
        return
    if live == PARTLESS:
        raise OutputExistsError(
            f"{where} is live, but all its parts are gone; put this run in its place with --replace"
        )
    if live is not None:
        theirs = facts_of(place.recs, plan.run_date, live)
        names = [name for name in {**theirs, **plan.facts} if theirs.get(name) != plan.facts.get(name)]
        differs = other(names) if theirs and names else "other inputs"
        raise OutputExistsError(
            f"{where} already holds the run {live}, made with {differs};"
            " put this one in its place with --replace, or choose another date or read root"
        )
    if place.is_withdrawn(plan.run_date, plan.run_id):
        raise OutputExistsError(
            f"this run, {plan.run_id}, was published at {where} and withdrawn; to publish it all the same: --replace"
        )
