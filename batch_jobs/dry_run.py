"""What `score` and `nightly` would do: bundle and files are read, and some lists are made and thrown away."""

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

from batch_jobs.destinations import destination_at
from batch_jobs.gates import Judge, judged_before, structure
from batch_jobs.job import ScoreJob
from batch_jobs.lists import lists_of
from batch_jobs.nightly_job import NightlyJob, refuse_slips
from batch_jobs.parts import shards_of
from batch_jobs.plan import Plan, already, planned, refuse_taken
from batch_jobs.rules import ruled
from batch_jobs.scoring import check_items, say_unjudged
from batch_jobs.space import bytes_of
from batch_jobs.today import Today, look
from rec_export.data.read import refuse_changes
from rec_export.errors import nobody_named
from rec_export.files import refuse_busy
from rec_export.forecast import Forecast, Pace, pace, peak, read
from rec_export.objects import place_of
from rec_export.scorer import Model, Scorer, chunks
from rec_export.words import counted

CALIBRATED = 256  # users at a time


def dry_run(job: ScoreJob, judge: Judge = structure) -> Forecast:
    """Read, score for a few seconds, and write nothing. Raises what `score` raises before it scores."""
    begun = perf_counter()
    place = destination_at(job.out, job.staging)
    recs, run_date = place.recs, job.run_date.isoformat()
    if not job.allow_world_writable:
        place.refuse_open()
    refuse_busy(recs.control / "lock")
    plan = planned(job)
    before = recs.run_id(run_date)
    does = f"score and publish the lists of {plan.run_date} as run {plan.run_id}"
    done = already(recs, plan, job.replace) if before == plan.run_id else None
    if done is not None and judged_before(done, judge):
        return Forecast.nothing(does, job.inputs(), place_of(recs.where(run_date)))
    if done is not None:
        say_unjudged(done, plan)
    refuse_taken(place, plan, before, replace=job.replace or done is not None)
    today = look(plan.bundle, job)
    ruling = ruled(today, job, plan.bundle.manifest.blueprint.data, plan.how)
    refuse_changes(plan.hashes, job.inputs())
    check_items(today, job)
    model = Model.of_bundle(plan.bundle, plan.how.runtime, plan.device)
    scorer = Scorer(model, today.catalogue, today.world, today.eligible, ruling.policy, plan.how.approximate)
    rate = pace(scored(scorer, today, plan))
    return foretold(does, job, plan, before, today, scorer, rate, perf_counter() - begun)


def scored(scorer: Scorer, today: Today, plan: Plan) -> Iterator[Callable[[], object]]:
    """Lists of everybody, some users at a time."""
    for user in chunks(today.users, CALIBRATED):
        yield partial(lists_of, scorer, user, plan.how)


def foretold(
    does: str, job: ScoreJob, plan: Plan, before: str | None, today: Today, scorer: Scorer, rate: Pace, spent: float
) -> Forecast:
    """The forecast, from what was read, which run is live, how fast lists were made, and the seconds it all took."""
    users, items = len(today.users), len(scorer.items)
    rows = users * min(plan.how.k, items)
    seconds = spent + rate.of(max(0, users / CALIBRATED - rate.done))  # what was done here is to be done again
    return Forecast(
        does=does,
        inputs=read({"bundle": plan.bundle.folder, **job.inputs()}),
        facts=(
            f"{len(scorer.world.timeline.seen_item):,} events up to that day, {users:,} users x {items:,} items",
            f"the model was exported at {plan.bundle.manifest.made_at}; {plan.how.runtime} on {plan.device}",
            f"{rows:,} rows at most ({plan.how.k} a user) in {counted(len(shards_of(users)), 'Parquet file')}",
        ),
        out=place_of(job.place().where(plan.run_date)),
        instead=None if before is None else f"the run {before}",
        work=job.place().control,
        memory=peak(),
        disk=bytes_of(rows, items),
        seconds=(seconds, seconds),
    )


def dry_night(job: NightlyJob) -> Forecast:
    """What the night would do before it asks the gates, which judge finished lists. Raises what `nightly` raises."""
    with nobody_named():
        judge = job.judge()
        refuse_slips(job)
        forecast = dry_run(job.score_job(), judge)
    asked = "then ask the gates whether it may be published; only finished lists can tell them"
    return forecast.model_copy(update={"facts": (*forecast.facts, asked) if not forecast.done else ()})
