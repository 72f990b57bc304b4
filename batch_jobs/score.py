"""Score every user against every item with an exported bundle, and publish the lists whole or not at all."""

import hashlib
import json
import logging
import time
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from batch_jobs.job import ScoreJob
from batch_jobs.parts import COLD, FALLBACK, MODEL, Lists, PartFile, plan, write_part
from batch_jobs.publish import Destination, Facts, RunManifest
from batch_jobs.today import Today, look
from rec_export import __version__
from rec_export.bundle import MANIFEST, Bundle
from rec_export.config import Scoring
from rec_export.data.columns import Int64
from rec_export.data.read import fingerprint, refuse_changes
from rec_export.device import device_of
from rec_export.errors import DataError
from rec_export.files import sha256
from rec_export.progress import track
from rec_export.scorer import Model, Scorer, chunks

log = logging.getLogger("rec_export")
MOST_STRANGE = 0.5  # of the events, of items that are known, below which the user is told
MOST_ABSENT = 0.5  # of the trained users, in a log that is taken for the whole one


class Scored(NamedTuple):
    """A run that is live, and whether it is so only now."""

    manifest: RunManifest
    fresh: bool


def run(job: ScoreJob) -> Scored:
    """Publish the run; when the same run is already live, only its manifest is read."""
    started, clock = datetime.now(UTC), time.monotonic()
    destination = Destination(job.out, job.run_date.isoformat())
    if job.device is not None:
        device_of(job.device)  # a slip should not wait for the bundle's hashes
    bundle = Bundle.read(job.bundle)
    how = job.scoring(bundle.manifest.blueprint.score, bundle.manifest.formats)
    device = device_of(how.device)
    hashes = {name: fingerprint(path) for name, path in job.inputs().items()}
    facts: Facts = {**how.model_dump(exclude={"device"}), "bundle": sha256(job.bundle / MANIFEST), **hashes}
    run_id = identity(job.run_date, facts)
    if destination.published() == run_id:
        return Scored(destination.told(run_id), fresh=False)
    destination.refuse_other_run(facts)
    today = look(bundle, job)
    refuse_changes(hashes, job.inputs())
    check_items(today, job)
    warn_of_a_short_log(today, job)
    scorer = Scorer(Model.of_bundle(bundle, how.runtime, device), today.catalogue, today.world, today.eligible)
    with destination.staged(run_id) as work:
        if destination.published() == run_id:  # another process was faster
            return Scored(destination.told(run_id), fresh=False)
        parts = write_parts(work, run_id, scorer, today.users, how)
        manifest = RunManifest(
            run_id=run_id,
            run_date=job.run_date.isoformat(),
            made_by=f"rec-export {__version__}",
            started_at=started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - clock, 1),
            as_of=moment(today.world.date),
            bundle=str(facts["bundle"]),
            inputs=hashes,
            k=how.k,
            seen=how.seen,
            runtime=how.runtime,
            device=str(device),
            items=len(scorer.items),
            files=parts,
        )
        destination.publish(work, manifest)
    return Scored(manifest, fresh=True)


def check_items(today: Today, job: ScoreJob) -> None:
    """Raise DataError when the log names no item that the model knows; warn when it names hardly any."""
    seen = today.world.timeline.seen_item
    known = int((seen < today.catalogue.items.trained).sum())
    if known == 0 and today.catalogue.items.trained:
        raise DataError(
            f"none of the {len(np.unique(seen)):,} items in {job.interactions} is known to the bundle {job.bundle};"
            " check that the ids are of the same kind"
        )
    if known < MOST_STRANGE * len(seen):
        log.warning(
            "%s of %s events in %s are of items that the model does not know; check the ids, or train again",
            f"{len(seen) - known:,}", f"{len(seen):,}", job.interactions,
        )  # fmt: skip


def warn_of_a_short_log(today: Today, job: ScoreJob) -> None:
    """Histories and what has been seen come from the log alone, so it must hold more than the newest rows."""
    trained = np.arange(today.catalogue.users.trained)
    absent = int((np.diff(today.world.timeline.seen_start)[trained] == 0).sum())
    if absent > MOST_ABSENT * len(trained):
        log.warning(
            "%s has no row of %s of the %s users that the model was trained on; name the whole log, as histories and"
            " what users have met are read from it", job.interactions, f"{absent:,}", f"{len(trained):,}",
        )  # fmt: skip


def identity(run_date: date, facts: Facts) -> str:
    """The run id: 12 hex digits of everything that decides what the run says."""
    whole = {"date": run_date.isoformat(), **facts}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]


def moment(microseconds: int | None) -> str | None:
    """A time in ISO 8601, UTC."""
    return (
        None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
    )


def write_parts(work: Path, run_id: str, scorer: Scorer, users: Int64, how: Scoring) -> tuple[PartFile, ...]:
    """Write every part of the run into `work`."""
    vocabularies = scorer.catalogue.users.vocab, scorer.catalogue.items.vocab
    shards = plan(len(users))
    portions = [list(chunks(users[shard.first : shard.stop])) for shard in shards]
    todo = track((user for portion in portions for user in portion), sum(map(len, portions)), "scoring")
    return tuple(
        write_part(
            work / shard.name(run_id),
            (lists_of(scorer, user, how) for user in islice(todo, len(portion))),
            *vocabularies,
            how.k,
        )
        for shard, portion in zip(shards, portions, strict=True)
    )


def lists_of(scorer: Scorer, user: Int64, how: Scoring) -> Lists:
    """The lists of users [B], and where each came from."""
    trained, known = user < scorer.catalogue.users.trained, scorer.known(user)
    source = np.select([trained & known, known], [MODEL, COLD], FALLBACK).astype(np.int8)
    return Lists(user, scorer.best(user, how.k, keep_seen=how.seen == "keep"), source)
