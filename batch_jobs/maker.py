"""PartMaker: a process that has read everything and can make any part of a run, wherever it runs."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self, final

from batch_jobs.carry import Carrier
from batch_jobs.job import ScoreJob
from batch_jobs.lists import lists_of
from batch_jobs.parts import Lists, Shard, write_part
from batch_jobs.plan import planned, refuse_another_bundle
from batch_jobs.prior import DoubtError
from batch_jobs.task import Task
from batch_jobs.work import MadeWith, Work
from rec_export.data.columns import Int64
from rec_export.errors import DataError
from rec_export.progress import passed
from rec_export.run_manifest import PartFile
from rec_export.scorer import Model, Scorer, chunks

PREPARING = 3  # parts of setting up a PartMaker, at the end of which it says so by `passed`


@final
class PartMaker:
    """Makes parts of a run in the folder of its work."""

    def __init__(self, task: Task) -> None:
        """Raises DataError where the bundle was changed."""
        self.plan, self.users, self.work = task.plan, task.today.users, task.work
        today, plan = task.today, task.plan
        model = Model.of_bundle(plan.bundle, plan.how.runtime, plan.device)
        refuse_another_bundle(plan)
        passed()
        self.scorer = Scorer(
            model, today.catalogue, today.world, today.eligible, task.ruling.policy, plan.how.approximate
        )
        passed()
        self.carrier = Carrier(task.job.place(), plan, self.scorer, task.work) if plan.how.incremental else None

    @classmethod
    def elsewhere(cls, job: ScoreJob, run_id: str) -> Self:
        """In a process that is not the one that began the run. Raises DataError where it finds other inputs."""
        plan = planned(job)
        if plan.run_id != run_id:
            raise DataError(
                f"the bundle or an input is not what it was where the run {run_id} was begun; give every process and"
                " machine the same files, then run the command again"
            )
        work = Work(job.place(), plan.run_date, plan.run_id)
        work.join(MadeWith.here(plan.device))
        return cls(Task.read(job, plan, work))

    def portions(self, shard: Shard) -> list[Int64]:
        """The users of a shard as they are scored together; int64 [B] each."""
        return list(chunks(self.users[shard.first : shard.stop]))

    def make(self, shard: Shard, portions: Iterator[Int64] | None = None) -> None:
        """Make a part. `portions` are those of the shard, where somebody watches them pass."""
        name, portions = shard.name(self.plan.run_id), portions or iter(self.portions(shard))
        try:
            self.work.write(name, lambda path: self.write(shard, portions, path))
        except DoubtError as doubt:
            assert self.carrier is not None
            self.carrier.score_everybody(doubt)
            deque(portions, maxlen=0)  # they have all been seen to pass
            self.work.write(name, lambda path: self.write(shard, iter(self.portions(shard)), path))

    def write(self, shard: Shard, portions: Iterator[Int64], path: Path) -> PartFile:
        """Write a part at `path`. Raises DoubtError where something was carried over that should not have been."""
        if self.carrier is None:
            return self.write_lists(shard, path, (lists_of(self.scorer, user, self.plan.how) for user in portions))
        part = self.carrier.part(shard, self.users[shard.first : shard.stop])
        written = self.write_lists(shard, path, part.lists(portions))
        return part.done(written, self.work.bases / shard.name(self.plan.run_id), self.work.unfinished())

    def write_lists(self, shard: Shard, path: Path, lists: Iterator[Lists]) -> PartFile:
        """Write the lists of a shard."""
        users, items = self.scorer.catalogue.users.vocab, self.scorer.catalogue.items.vocab
        footer = {"run_date": self.plan.run_date, "run_id": self.plan.run_id, "part": f"{shard.number} of {shard.of}",
                  "bundle": str(self.plan.facts["bundle"])}  # fmt: skip
        return write_part(path, lists, users, items, self.plan.how.k, footer)
