"""Score every user against every item with an exported bundle, and publish the lists whole or not at all."""

import logging
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from batch_jobs.audit import Evidence, one_in, step_for
from batch_jobs.clock import Clock
from batch_jobs.destination import Destination
from batch_jobs.destinations import destination_at
from batch_jobs.executors import make_parts
from batch_jobs.gates import Candidate, Judge, answer, clause, judged_before, sentence, structure
from batch_jobs.job import ScoreJob
from batch_jobs.met import met_or_gone
from batch_jobs.parts import shards_of
from batch_jobs.plan import Plan, already, planned, refuse_taken
from batch_jobs.recall import measured
from batch_jobs.rules import Ruling, ruled
from batch_jobs.space import refuse_full
from batch_jobs.task import Task
from batch_jobs.today import Today, look
from batch_jobs.work import Work, working
from rec_export import __version__
from rec_export.config import Retention
from rec_export.data.read import refuse_changes
from rec_export.errors import DataError, GateError, OutputExistsError
from rec_export.files import storage_errors
from rec_export.machine import usual_torch
from rec_export.progress import in_parts, passed, track
from rec_export.recs import matched
from rec_export.run_manifest import PartFile, RunManifest
from rec_export.stages import Stages

log = logging.getLogger("rec_export")
MOST_STRANGE = 0.5  # of the events, of items that are known, below which the user is told
OLD = timedelta(days=7)  # between the newest row and the run, above which the user is told
MOST_ABSENT = 0.5  # of the trained users, in a log that is taken for the whole one
ALL_CHANGED = "of every user something has changed that lists stand on (docs/nightly.md)"


class Scored(NamedTuple):
    """A run that is live, and whether it is so only now."""

    manifest: RunManifest
    fresh: bool
    resumed: int = 0  # parts that an earlier attempt had finished


@usual_torch()
def run(job: ScoreJob, judge: Judge = structure, keep: Retention | None = None) -> Scored:
    """Publish the run, if `judge` lets it; when the same run is already live, its parts are held against its manifest.

    `keep` says what is removed after that; None: nothing. Raises BusyError, GateError, and OutputExistsError where
    another run is live or this one was withdrawn.
    """
    clock, stages = Clock(), Stages()
    place = destination_at(job.out, job.staging)
    recs, run_date = place.recs, job.run_date.isoformat()
    with in_parts("checking the bundle and the inputs", 1 + len(job.inputs())):
        plan = planned(job)
    stages.end("check the bundle")
    with place.claimed(anywhere=job.allow_world_writable), storage_errors(recs.local(run_date)):
        if keep is not None:
            place.empty(keep)  # also while nights are refused
        before = recs.run_id(run_date)
        done = already(recs, plan, job.replace) if before == plan.run_id else None
        if done is not None and judged_before(done, judge):
            return Scored(done, fresh=False)
        if done is not None:
            say_unjudged(done, plan)
        refuse_taken(place, plan, before, replace=job.replace or done is not None)
        today, ruling = seen(plan, job)
        unknown = {"unknown_items": check_items(today, job), "unknown_users": strangers(today)}
        warn_of_a_short_log(today, job)
        warn_of_an_old_log(today, job)
        stages.end("read the log and tables")
        with working(recs, plan) as work:
            if done is not None:
                work.once_more()
            task = Task(job, plan, today, ruling, work)
            left = task.left()
            refuse_full(recs, task, left)
            make_parts(task, left)
            every = len(shards_of(len(today.users)))
            stages.end("score and write" + (f" {len(left)} of {every} parts" if len(left) < every else ""))
            draft = described(task, clock).model_copy(update={**unknown, "replaces": before})
            evidence = read_back(work, draft, task)
            if plan.how.approximate:
                draft = draft.model_copy(update={"approximate": measured(task, evidence.sample)})
            draft = draft.model_copy(update={"stages": stages.until("read back")})
            with in_parts("judging", 2):
                manifest = pass_gates(Candidate(recs, work.parts, draft, evidence, task), work, judge)
                passed()
                refuse_other_parts(work, manifest)
            if not place.publish(work.parts, manifest):
                return Scored(recs.told(run_date, plan.run_id), fresh=False)
            work.clear_others()
            clear_up(place, keep, run_date)
    return Scored(manifest, fresh=True, resumed=len(manifest.files) - len(left))


@in_parts("looking at today", 3)
def seen(plan: Plan, job: ScoreJob) -> tuple[Today, Ruling]:
    """Tonight's files, and what the rules say of them. Raises DataError where a file was changed meanwhile."""
    today = look(plan.bundle, job)
    passed()
    ruling = ruled(today, job, plan.bundle.manifest.blueprint.data, plan.how)
    passed()
    refuse_changes(plan.hashes, job.inputs())
    return today, ruling


def say_unjudged(run: RunManifest, plan: Plan) -> None:
    """That a run which `score` published is made once more, and held against the gates now.

    Raises OutputExistsError where others would have to make its parts.
    """
    if plan.how.executor == "shards":
        raise OutputExistsError(
            f"the run {run.run_id} is live, but was published without gates; publish it through them with another"
            " executor, or take it back with `rec-export rollback`"
        )
    log.warning("the run %s was published without gates; it is made once more, to be held against them", run.run_id)


def clear_up(place: Destination, keep: Retention | None, run_date: str) -> None:
    """Remove what is kept no longer."""
    if keep is not None:
        place.retire(keep, run_date)
        place.empty(keep)


def refuse_other_parts(work: Work, manifest: RunManifest) -> None:
    """Raise DataError where something was changed in the run's folder since it was read back."""
    try:
        matched(work.parts, manifest)
    except DataError as error:
        told = str(error).partition(";")[0]
        raise DataError(f"{told}, but were not when it was checked; look there, then run the command again") from error


def described(task: Task, clock: Clock) -> RunManifest:
    """The manifest, before anything was checked."""
    plan, today, work = task.plan, task.today, task.work
    made_with = work.known_made_with()
    files = tuple(work.part(shard.name(plan.run_id)) for shard in shards_of(len(today.users)))
    return RunManifest(
        run_id=plan.run_id,
        run_date=plan.run_date,
        made_by=f"rec-export {__version__}",
        made_with=made_with.versions,
        started_at=clock.started.isoformat(timespec="seconds"),
        seconds=clock.seconds(),
        as_of=moment(today.newest),
        bundle=str(plan.facts["bundle"]),
        model_made_at=plan.bundle.manifest.made_at,
        inputs=plan.hashes,
        rules=task.ruling.told,
        log_rows=today.log_rows,
        left_out=today.left_out,
        bad_rows="bad_rows" in plan.facts,
        whom=str(plan.facts["whom"]),
        k=plan.how.k,
        seen=plan.how.seen,
        runtime=plan.how.runtime,
        device=made_with.device,
        items=int(task.offered().sum()),
        everybody_because=work.why_everybody() or (ALL_CHANGED if nothing_carried(plan, files) else None),
        files=files,
    )


def nothing_carried(plan: Plan, files: tuple[PartFile, ...]) -> bool:
    """Whether an incremental run found no list that it could carry over."""
    return plan.how.incremental and not any(part.carried for part in files)


def read_back(work: Work, draft: RunManifest, task: Task) -> Evidence:
    """What the written parts hold, and which promises they break."""
    keep = one_in(step_for(sum(draft.users.values())))
    todo = track(draft.files, len(draft.files), "checking")
    evidence = Evidence.together(Evidence.of(work.parts / part.name, keep) for part in todo)
    counted, said = (evidence.rows, sum(evidence.users.values())), (draft.rows, sum(draft.users.values()))
    if counted != (said[0], said[1] - draft.empty_lists):
        raise DataError(f"{work.parts} holds {counted[0]:,} rows of {counted[1]:,} users, but {said} were written")
    return evidence.with_broken(met_or_gone(evidence.sample, task))


def pass_gates(candidate: Candidate, work: Work, judge: Judge) -> RunManifest:
    """The manifest with its audit and verdicts. A run that is refused is set aside: raises GateError."""
    recs, manifest = candidate.recs, candidate.manifest.model_copy(update={"audit": candidate.evidence.audit()})
    verdicts = judge(candidate._replace(manifest=manifest))
    manifest = manifest.model_copy(update={"gates": verdicts})
    for one in verdicts:
        if one.verdict == "warned":
            log.warning("run_date=%s: %s", manifest.run_date, clause(one))
    refused = sentence(verdicts)
    if refused:
        manifest.write(work.folder / "manifest.json")
        dates = recs.dates()
        stays = f"{recs.where(dates[-1])} stays the newest" if dates else "nothing is published"
        if manifest.replaces == manifest.run_id:
            stays = f"{recs.where(manifest.run_date)} still holds it, which `rec-export rollback` takes back"
        kept = work.fail()
        raise GateError(f"{refused}; {stays}, and the run is kept in {kept}{answer(verdicts)}", str(kept))
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
    eligible = np.flatnonzero(today.eligible) if today.eligible is not None else seen
    if len(eligible) and (eligible >= today.catalogue.items.trained).all():
        raise DataError(
            f"none of the {len(eligible):,} items in {job.items} is known to the bundle {job.bundle};"
            " check that the ids are of the same kind"
        )
    if known < MOST_STRANGE * len(seen):
        log.warning(
            "%s of %s events in %s are of items that the model does not know; check the ids, or train again",
            f"{len(seen) - known:,}", f"{len(seen):,}", job.interactions,
        )  # fmt: skip
    return round(1 - known / len(seen), 6)


def strangers(today: Today) -> float:
    """The share of the log's rows whose user the model does not know."""
    start = today.world.timeline.seen_start
    return round(1 - int(start[today.catalogue.users.trained]) / max(int(start[-1]), 1), 6)


def warn_of_a_short_log(today: Today, job: ScoreJob) -> None:
    """Histories and what has been seen come from the log alone, so it must hold more than the newest rows."""
    trained = np.arange(today.catalogue.users.trained)
    absent = int((np.diff(today.world.timeline.seen_start)[trained] == 0).sum())
    if absent > MOST_ABSENT * len(trained):
        log.warning(
            "%s has no row of %s of the %s users that the model was trained on; name the whole log, as histories and"
            " what users have met are read from it", job.interactions, f"{absent:,}", f"{len(trained):,}",
        )  # fmt: skip


def warn_of_an_old_log(today: Today, job: ScoreJob) -> None:
    """Lists are as of the newest row, so a date long after it deserves a word."""
    newest = today.world.date
    if newest is not None and job.run_date - datetime.fromtimestamp(newest / 1e6, UTC).date() > OLD:
        log.warning(
            "the newest row of %s is of %s, the run of %s; is the log of today?",
            job.interactions, str(moment(newest))[:10], job.run_date,
        )  # fmt: skip


def moment(microseconds: int | None) -> str | None:
    """A time in ISO 8601, UTC."""
    return (
        None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
    )
