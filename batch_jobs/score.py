"""Score every user against every item with an exported bundle, and publish the lists whole or not at all."""

import hashlib
import json
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from batch_jobs.job import ScoreJob
from batch_jobs.parts import COLD, FALLBACK, MODEL, Lists, PartFile, plan, write_part
from batch_jobs.publish import Destination, RunManifest
from batch_jobs.today import look
from rec_export import __version__
from rec_export.bundle import MANIFEST, Bundle
from rec_export.data.columns import Int64
from rec_export.data.read import parts_of
from rec_export.device import device_of
from rec_export.files import sha256
from rec_export.progress import track
from rec_export.scorer import Model, Scorer, chunks


def run(job: ScoreJob) -> RunManifest:
    """Publish the run; when the same run is already live, only its manifest is read."""
    started, clock = datetime.now(UTC), time.monotonic()
    destination = Destination(job.out, job.run_date.isoformat())
    device = device_of(job.device)
    bundle = Bundle.read(job.bundle)
    hashes = {name: fingerprint(path) for name, path in job.inputs().items()}
    run_id = identity(job, sha256(job.bundle / MANIFEST), hashes)
    if destination.published() == run_id:
        return RunManifest.read(destination.manifest(run_id))
    destination.refuse_other_run()
    today = look(bundle, job)
    scorer = Scorer(Model.of_bundle(bundle, job.runtime, device), today.catalogue, today.world, today.eligible)
    with destination.staged(run_id) as work:
        parts = write_parts(work, run_id, scorer, today.users, job)
        manifest = RunManifest(
            run_id=run_id,
            run_date=job.run_date.isoformat(),
            made_by=f"rec-export {__version__}",
            started_at=started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - clock, 1),
            as_of=moment(today.world.date),
            bundle=sha256(job.bundle / MANIFEST),
            inputs=hashes,
            k=job.k,
            seen=job.seen,
            runtime=job.runtime,
            device=str(device),
            items=len(scorer.items),
            files=parts,
        )
        destination.publish(work, manifest)
    return manifest


def identity(job: ScoreJob, bundle: str, inputs: dict[str, str]) -> str:
    """The run id: 12 hex digits of everything that decides what the run says."""
    facts = {
        "date": job.run_date.isoformat(),
        "k": job.k,
        "seen": job.seen,
        "runtime": job.runtime,
        "bundle": bundle,
        **inputs,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(path: Path) -> str:
    """One sha256 of a file, or of a folder's parts with their names."""
    if path.is_file():
        return sha256(path)
    facts = [[str(part.relative_to(path)), sha256(part)] for part in parts_of(path)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def moment(microseconds: int | None) -> str | None:
    """A time in ISO 8601, UTC."""
    return (
        None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
    )


def write_parts(work: Path, run_id: str, scorer: Scorer, users: Int64, job: ScoreJob) -> tuple[PartFile, ...]:
    """Write every part of the run into `work`."""
    vocabularies = scorer.catalogue.users.vocab, scorer.catalogue.items.vocab
    shards = plan(len(users))
    portions = [list(chunks(users[shard.first : shard.stop])) for shard in shards]
    todo = track((user for portion in portions for user in portion), sum(map(len, portions)), "scoring")
    return tuple(
        write_part(
            work / shard.name(run_id),
            (lists_of(scorer, user, job) for user in islice(todo, len(portion))),
            *vocabularies,
            job.k,
        )
        for shard, portion in zip(shards, portions, strict=True)
    )


def lists_of(scorer: Scorer, user: Int64, job: ScoreJob) -> Lists:
    """The lists of users [B], and where each came from."""
    trained = user < scorer.catalogue.users.trained
    source = np.select([trained, scorer.known(user)], [MODEL, COLD], FALLBACK).astype(np.int8)
    return Lists(user, scorer.best(user, job.k, keep_seen=job.seen == "keep"), source)
