"""Score every user against every item with an exported bundle, and publish the lists whole or not at all."""

import hashlib
import json
import logging
import time
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from batch_jobs.audit import Evidence, one_in, step_for
from batch_jobs.gates import Candidate, Judge, sentence, structure
from batch_jobs.job import ScoreJob
from batch_jobs.parts import COLD, FALLBACK, MODEL, Lists, Shard, shards_of, write_part
from batch_jobs.publish import claimed, publish, refuse_gap, withdrawal
from batch_jobs.retention import sweep
from batch_jobs.today import Today, look
from batch_jobs.work import MadeWith, Work
from rec_export import __version__
from rec_export.bundle import MANIFEST, Bundle
from rec_export.config import Retention, Scoring
from rec_export.data.columns import Int64
from rec_export.data.read import fingerprint, refuse_changes
from rec_export.device import device_of
from rec_export.errors import DataError, GateError, OutputExistsError
from rec_export.files import sha256, storage_errors
from rec_export.progress import track
from rec_export.recs import UNKNOWN_RUN, Facts, PartFile, Recs, RunManifest, run_in
from rec_export.scorer import Model, Scorer, chunks

log = logging.getLogger("rec_export")
MOST_STRANGE = 0.5  # of the events, of items that are known, below which the user is told
MOST_ABSENT = 0.5  # of the trained users, in a log that is taken for the whole one


class Scored(NamedTuple):
    """A run that is live, and whether it is so only now."""

    manifest: RunManifest
    fresh: bool
    resumed: int = 0  # parts that an earlier attempt had finished


class Plan(NamedTuple):
    """What a run is, known before anything is looked at."""

    run_id: str
    run_date: str
    bundle: Bundle
    how: Scoring
    device: torch.device
    facts: Facts
    hashes: dict[str, str]  # of the inputs


def run(job: ScoreJob, judge: Judge = structure, keep: Retention | None = None) -> Scored:
    """Publish the run, if `judge` lets it; when the same run is already live, only its manifest is read.

    `keep` says what is removed after that; None: nothing.

    Raises BusyError, OutputExistsError where another run is live or this one was withdrawn, and GateError.
    """
    clock = Clock()
    recs = Recs.at(job.out)
    live = recs.live(job.run_date.isoformat())
    plan = planned(job)
    with claimed(recs), storage_errors(live):
        before = run_in(live)
        if before == plan.run_id:
            return Scored(recs.told(plan.run_date, plan.run_id), fresh=False)
        refuse_taken(recs, plan, before, job.replace)
        today = look(plan.bundle, job)
        refuse_changes(plan.hashes, job.inputs())
        unknown = check_items(today, job)
        warn_of_a_short_log(today, job)
        model = Model.of_bundle(plan.bundle, plan.how.runtime, plan.device)
        scorer = Scorer(model, today.catalogue, today.world, today.eligible)
        work = Work(recs, plan.run_date, plan.run_id, MadeWith.here(plan.device))
        try:
            resumed = work.finished()
            parts = write_parts(work, plan, scorer, today.users)
            draft = described(plan, clock, scorer, parts).model_copy(
                update={"log_rows": len(today.world.timeline.seen_item), "unknown_items": unknown, "replaces": before}
            )
            manifest = judged(recs, work, draft, judge)
            publish(recs, work.parts, manifest)
            if keep is not None:
                sweep(recs, keep)
        finally:
            work.close()
    return Scored(manifest, fresh=True, resumed=resumed)


class Clock:
    """When a run began, and for how long it has been going on."""

    def __init__(self) -> None:
        self.started, self.began = datetime.now(UTC), time.monotonic()

    def seconds(self) -> float:
        """Since the beginning; a clock that is set meanwhile does not count."""
        return round(time.monotonic() - self.began, 1)


def planned(job: ScoreJob) -> Plan:
    """Check the bundle and hash the inputs."""
    if job.device is not None:
        device_of(job.device)  # a slip should not wait for the bundle's hashes
    bundle = Bundle.read(job.bundle)
    how = job.scoring(bundle.manifest.blueprint.score, bundle.manifest.formats)
    hashes = {name: fingerprint(path) for name, path in job.inputs().items()}
    sealed = sha256(job.bundle / MANIFEST)
    facts: Facts = {**how.model_dump(exclude={"device"}), "whom": job.whom, "bundle": sealed, **hashes}
    run_date = job.run_date.isoformat()
    return Plan(identity(run_date, facts), run_date, bundle, how, device_of(how.device), facts, hashes)


def refuse_taken(recs: Recs, plan: Plan, live: str | None, replace: bool) -> None:
    """Raise OutputExistsError where readers have another run of that date, or had this one and it was taken back."""
    where = recs.live(plan.run_date)
    if live == UNKNOWN_RUN:
        raise OutputExistsError(f"{where} holds what rec-export did not write; move it away")
    if replace:
        if live is not None:
            refuse_gap(recs.control)
        return
    if live is not None:
        path = recs.manifest(plan.run_date, live)
        theirs = RunManifest.read(path).facts() if path.is_file() else {}
        names = [name for name in {**theirs, **plan.facts} if theirs.get(name) != plan.facts.get(name)]
        differs = f"another {', '.join(names)}" if theirs and names else "other inputs"
        raise OutputExistsError(
            f"{where} already holds the run {live}, made with {differs};"
            " put this one in its place with --replace, or choose another --run-date or --out"
        )
    if withdrawal(recs, plan.run_date, plan.run_id).is_file():
        raise OutputExistsError(
            f"this run, {plan.run_id}, was published at {where} and withdrawn; to publish it all the same: --replace"
        )


def described(plan: Plan, clock: Clock, scorer: Scorer, parts: tuple[PartFile, ...]) -> RunManifest:
    """The manifest, before anything was checked."""
    return RunManifest(
        run_id=plan.run_id,
        run_date=plan.run_date,
        made_by=f"rec-export {__version__}",
        made_with=MadeWith.here(plan.device).versions,
        started_at=clock.started.isoformat(timespec="seconds"),
        seconds=clock.seconds(),
        as_of=moment(scorer.world.date),
        bundle=str(plan.facts["bundle"]),
        model_made_at=plan.bundle.manifest.made_at,
        inputs=plan.hashes,
        whom=str(plan.facts["whom"]),
        k=plan.how.k,
        seen=plan.how.seen,
        runtime=plan.how.runtime,
        device=str(plan.device),
        items=len(scorer.items),
        files=parts,
    )


def judged(recs: Recs, work: Work, draft: RunManifest, judge: Judge) -> RunManifest:
    """The manifest with its audit and verdicts. A run that is refused is set aside: raises GateError."""
    keep = one_in(step_for(sum(draft.users.values())))
    todo = track(draft.files, len(draft.files), "checking")
    evidence = Evidence.together(Evidence.of(work.parts / part.name, keep) for part in todo)
    manifest = draft.model_copy(update={"audit": evidence.audit()})
    verdicts = judge(Candidate(recs, work.parts, manifest, evidence))
    manifest = manifest.model_copy(update={"gates": verdicts})
    refused = sentence(verdicts)
    if refused:
        manifest.write(work.folder / "manifest.json")
        dates = recs.dates()
        stays = f"{recs.live(dates[-1])} stays the newest" if dates else "nothing is published"
        kept = work.fail()
        raise GateError(f"{refused}; {stays}, and the run is kept in {kept}", str(kept))
    return manifest


def check_items(today: Today, job: ScoreJob) -> float:
    """The share of the log's rows whose item the model does not know; a warning when that is most.

    Raises DataError when it knows none.
    """
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
    return round(1 - known / len(seen), 6)


def warn_of_a_short_log(today: Today, job: ScoreJob) -> None:
    """Histories and what has been seen come from the log alone, so it must hold more than the newest rows."""
    trained = np.arange(today.catalogue.users.trained)
    absent = int((np.diff(today.world.timeline.seen_start)[trained] == 0).sum())
    if absent > MOST_ABSENT * len(trained):
        log.warning(
            "%s has no row of %s of the %s users that the model was trained on; name the whole log, as histories and"
            " what users have met are read from it", job.interactions, f"{absent:,}", f"{len(trained):,}",
        )  # fmt: skip


def identity(run_date: str, facts: Facts) -> str:
    """The run id: 12 hex digits of everything that decides what the run says."""
    whole = {"date": run_date, **facts}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]


def moment(microseconds: int | None) -> str | None:
    """A time in ISO 8601, UTC."""
    return (
        None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
    )


def write_parts(work: Work, plan: Plan, scorer: Scorer, users: Int64) -> tuple[PartFile, ...]:
    """Write every part of the run that is not there yet."""
    shards = shards_of(len(users))
    portions = {shard: list(chunks(users[shard.first : shard.stop])) for shard in shards}
    left = [shard for shard in shards if not work.has(shard.name(plan.run_id))]
    todo = track((user for shard in left for user in portions[shard]), sum(len(portions[s]) for s in left), "scoring")

    def write(shard: Shard, path: Path) -> PartFile:
        lists = (lists_of(scorer, user, plan.how) for user in islice(todo, len(portions[shard])))
        footer = {"run_date": plan.run_date, "run_id": plan.run_id, "part": f"{shard.number} of {shard.of}",
                  "bundle": str(plan.facts["bundle"])}  # fmt: skip
        return write_part(path, lists, scorer.catalogue.users.vocab, scorer.catalogue.items.vocab, plan.how.k, footer)

    for shard in left:
        work.write(shard.name(plan.run_id), partial(write, shard))
    return tuple(work.part(shard.name(plan.run_id)) for shard in shards)


def lists_of(scorer: Scorer, user: Int64, how: Scoring) -> Lists:
    """The lists of users [B], and where each came from."""
    trained, known = user < scorer.catalogue.users.trained, scorer.known(user)
    source = np.select([trained & known, known], [MODEL, COLD], FALLBACK).astype(np.int8)
    return Lists(user, scorer.best(user, how.k, keep_seen=how.seen == "keep"), source)
