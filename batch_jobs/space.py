"""Whether the lists of a run can fit on the disk, told before hours of scoring, not after."""

import logging
from math import log2

from batch_jobs.parts import Shard
from batch_jobs.plan import Plan, facts_of
from batch_jobs.task import Task
from rec_export.errors import MissingInputError, ModelError, StorageError
from rec_export.forecast import free_at, sized
from rec_export.published import Published
from rec_export.run_manifest import RunManifest

log = logging.getLogger("rec_export")
SCORE = 4.2  # bytes of a row in Parquet beside the item: a float32 as it is, rank and source that pack well
SURE = 0.8  # of what the night before needed for as many users, that tonight needs at least
GUESSED = 0.1  # of `bytes_of`, the same where no night was before: lists that are alike pack far better


def bytes_of(rows: int, items: int) -> int:
    """About how large so many rows are in Parquet, if every user has other items."""
    return int(rows * (SCORE + log2(max(items, 2)) / 8))


def refuse_full(recs: Published, task: Task, left: list[Shard]) -> None:
    """Raise StorageError where the parts that are left clearly cannot fit; a warning where they may not."""
    users, free = sum(shard.stop - shard.first for shard in left), free_at(task.work.folder)
    before = like_tonight(recs, task.plan)
    if before is not None:
        about = before.bytes * users // max(sum(before.users.values()), 1)
        least, why = SURE * about, f"as those of {before.run_date} did"
    else:
        items = int(task.offered().sum())
        about = bytes_of(users * min(task.plan.how.k, items), items)
        least, why = (0 if task.ruling.told else GUESSED * about), "if no two lists are alike"
    need = (
        f"the lists of {users:,} users need about {sized(about)}, {why}, and {sized(free)} are free for {recs.control}"
    )
    if free < least:
        raise StorageError(f"the disk is too full: {need}; free some space and run the same command again")
    if before is not None and free < about:
        log.warning("the disk may be too full: %s", need)


def like_tonight(recs: Published, plan: Plan) -> RunManifest | None:
    """The newest run that is live, if its lists were made as tonight's are; how large they are is known."""
    dates = recs.dates()
    if not dates:
        return None
    run_id = str(recs.run_id(dates[-1]))
    theirs = facts_of(recs, dates[-1], run_id)
    if any(theirs.get(name) != plan.facts.get(name) for name in ("k", "seen", "rules")):
        return None
    try:
        return recs.told(dates[-1], run_id)
    except (MissingInputError, ModelError):
        return None
