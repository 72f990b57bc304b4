"""No part here: other processes make them, on any machines, by `--shard-index I --shard-count N`."""

from typing import NamedTuple

from batch_jobs.destinations import destination_at
from batch_jobs.job import ScoreJob
from batch_jobs.maker import PartMaker
from batch_jobs.parts import Shard, shards_of
from batch_jobs.plan import already, planned, refuse_taken
from batch_jobs.task import Task
from batch_jobs.work import MadeWith, Work
from rec_export.errors import MissingPartsError
from rec_export.files import storage_errors
from rec_export.machine import usual_torch
from rec_export.progress import track


def make(task: Task, shards: list[Shard]) -> None:
    """Raise MissingPartsError, as they should be there."""
    names = [shard.name(task.plan.run_id) for shard in shards]
    raise MissingPartsError(
        f"{len(names)} of {shards[0].of} parts are not in {task.work.parts} yet: {', '.join(names[:10])}"
        + (", ..." if len(names) > 10 else "")
        + "; run their shards (--shard-index, --shard-count), then publish"
    )


class Share(NamedTuple):
    """What one of several processes did."""

    run_id: str
    made: list[str]  # names of parts
    there: list[str]  # that were made before
    published: bool  # so nothing was left to do


@usual_torch()
def make_share(job: ScoreJob, index: int, count: int) -> Share:
    """Make every `count`-th part of the run from the `index`-th on, which others may do at the same time.

    Raises BusyError where somebody publishes there, and OutputExistsError where another run is live at that date.
    """
    place, plan = destination_at(job.out, job.staging), planned(job)
    recs = place.recs
    with place.joined(anywhere=job.allow_world_writable), storage_errors(recs.local(plan.run_date)):
        before = recs.run_id(plan.run_date)
        if before == plan.run_id and (not job.replace or already(recs, plan, replace=True) is not None):
            return Share(plan.run_id, [], [], published=True)
        if not job.replace:
            refuse_taken(place, plan, before, replace=False)
        work = Work(recs, plan.run_date, plan.run_id)
        work.join(MadeWith.here(plan.device))
        task = Task.read(job, plan, work)
        mine = shards_of(len(task.today.users))[index::count]
        left = [shard for shard in task.left() if shard in mine]
        maker = PartMaker(task) if left else None
        for shard in track(left, len(left), "scoring"):
            assert maker is not None
            maker.make(shard)
    made, there = ([s.name(plan.run_id) for s in mine if (s in left) == new] for new in (True, False))
    return Share(plan.run_id, made, there, published=False)
