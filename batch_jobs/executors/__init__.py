"""Where the parts of a run are made. An executor is a module with one function:

    make(task, shards)      their parts are in the folder of the task's work when it returns

It never publishes, and what it is asked for depends on the number of users alone, never on how many workers it has.
So parts are the same bytes whichever executor makes them, and what one began another can finish.
"""

from collections.abc import Callable

from batch_jobs.executors import local, on_ray, processes, shards
from batch_jobs.parts import Shard
from batch_jobs.task import Task

EXECUTORS: dict[str, Callable[[Task, list[Shard]], None]] = {
    "local": local.make,
    "processes": processes.make,
    "ray": on_ray.make,
    "shards": shards.make,
}


def make_parts(task: Task, left: list[Shard]) -> None:
    """Make the parts that are left; twice, where it turned out midway that nothing can be carried over."""
    make = EXECUTORS[task.plan.how.executor]
    if left:
        make(task, left)
    if task.work.why_everybody() is not None:
        again = task.left()
        if again:
            make(task, again)
