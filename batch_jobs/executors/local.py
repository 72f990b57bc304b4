"""All parts in this process, one after another."""

from itertools import islice

from batch_jobs.maker import PREPARING, PartMaker
from batch_jobs.parts import Shard
from batch_jobs.task import Task
from rec_export.progress import in_parts, track


def make(task: Task, shards: list[Shard]) -> None:
    """Make the parts of some shards."""
    with in_parts("preparing to score", PREPARING):
        maker = PartMaker(task)
    portions = {shard: maker.portions(shard) for shard in shards}
    todo = track((user for shard in shards for user in portions[shard]), sum(map(len, portions.values())), "scoring")
    for shard in shards:
        maker.make(shard, islice(todo, len(portions[shard])))
