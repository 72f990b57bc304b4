"""Task: a run that was begun, as an executor and every maker of its parts are given it."""

from typing import NamedTuple, Self

import numpy as np

from batch_jobs.job import ScoreJob
from batch_jobs.parts import Shard, shards_of
from batch_jobs.plan import Plan
from batch_jobs.rules import Ruling, ruled
from batch_jobs.today import Today, look
from batch_jobs.work import Work
from rec_export.data.columns import Bool
from rec_export.data.read import refuse_changes


class Task(NamedTuple):
    """The run as it was asked for, planned and read, and the folder where its parts appear."""

    job: ScoreJob
    plan: Plan
    today: Today
    ruling: Ruling
    work: Work

    @classmethod
    def read(cls, job: ScoreJob, plan: Plan, work: Work) -> Self:
        """Read everything, in a process that did not begin the run."""
        today = look(plan.bundle, job)
        ruling = ruled(today, job, plan.bundle.manifest.blueprint.data, plan.how)
        refuse_changes(plan.hashes, job.inputs())
        return cls(job, plan, today, ruling, work)

    def offered(self) -> Bool:
        """Which items may be recommended, bool [N]."""
        today, kept = self.today, self.ruling.policy.kept
        if kept is not None:
            return kept
        return np.ones(len(today.catalogue.items.vocab), np.bool_) if today.eligible is None else today.eligible

    def left(self) -> list[Shard]:
        """The shards whose parts are not there yet."""
        return [s for s in shards_of(len(self.today.users)) if not self.work.has(s.name(self.plan.run_id))]
