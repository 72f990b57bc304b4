"""Parts as tasks of a Ray cluster: the one at RAY_ADDRESS or `score.ray_address`, or one on this machine.

Ray only decides where a part is made, and makes it again where a process or a node is lost. Every node must have
rec-export, the inputs and the read root at the same paths. Nothing of ray.data is used, and there is no dashboard.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from batch_jobs.job import ScoreJob
from batch_jobs.maker import PartMaker
from batch_jobs.parts import Shard
from batch_jobs.task import Task
from rec_export.errors import EnvironmentMissingError, LostProcessError, RecExportError
from rec_export.files import storage_errors
from rec_export.progress import PULSE, still_at, track

RETRIES = 3  # of a part whose process or node is lost


def make(task: Task, shards: list[Shard]) -> None:
    """Make the parts of some shards. Raises LostProcessError when one is lost again and again."""
    job, cuda = anywhere(task.job), task.plan.device.type == "cuda"
    with cluster(task.plan.how.ray_address) as ray:
        # By itself Ray ends a process after a task that used a GPU, and each would read everything again.
        options = {"num_cpus": 1, "num_gpus": int(cuda), "max_retries": RETRIES, "max_calls": 0}
        remote = ray.remote(**options)(make_one)
        running = [remote.remote(job.model_dump_json(), task.plan.run_id, shard) for shard in shards]
        for mistake in track(results(ray, running), len(shards), "scoring"):
            if mistake is not None:
                raise mistake


def results(ray: ModuleType, running: list[object]) -> Iterator[RecExportError | None]:
    """The results of tasks as they end."""
    total = len(running)
    while running:
        still_at("scoring", total - len(running), total)
        ended, running = ray.wait(running, num_returns=1, timeout=PULSE)
        for done in ended:
            yield result(ray, done)


def result(ray: ModuleType, done: object) -> RecExportError | None:
    """The result of a task that ended. Raises LostProcessError where it was lost."""
    try:
        mistake: RecExportError | None = ray.get(done)
    except ray.exceptions.RayTaskError:  # a bug of ours
        raise
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()[0]
        raise LostProcessError(f"Ray gave a part up: {said}; run the command again") from error
    return mistake


def make_one(job: str, run_id: str, shard: Shard) -> RecExportError | None:
    """Make a part, in some process of the cluster; the user's mistake is a result, as it would be the same again."""
    logging.getLogger("rec_export").setLevel(logging.ERROR)  # who began the run has said it
    try:
        with storage_errors(ScoreJob.model_validate_json(job).out):
            maker_of(job, run_id).make(shard)
    except RecExportError as mistake:
        return mistake
    return None


@lru_cache(maxsize=1)
def maker_of(job: str, run_id: str) -> PartMaker:
    """One for each process, which makes many parts. The job is JSON, as a ScoreJob cannot be hashed."""
    return PartMaker.elsewhere(ScoreJob.model_validate_json(job), run_id)


def anywhere(job: ScoreJob) -> ScoreJob:
    """The job with absolute paths."""
    given = {name: value for name, value in job if isinstance(value, Path)}
    return job.model_copy(update={name: path.absolute() for name, path in given.items()})


@contextmanager
def cluster(address: str | None) -> Iterator[ModuleType]:
    """Ray, connected. Raises EnvironmentMissingError without the package, LostProcessError without the cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # here, as it is an extra
    except ImportError as error:
        raise EnvironmentMissingError("--executor ray needs Ray: pip install ray") from error
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        raise LostProcessError(f"there is no Ray cluster at {address}: {str(error).splitlines()[0]}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
