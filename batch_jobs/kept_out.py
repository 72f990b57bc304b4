"""Why an item cannot stand in one user's list: what the user has met, and tonight's business rules, item by item."""

import numpy as np

from batch_jobs.job import ScoreJob
from batch_jobs.rule_files import RuleFiles
from batch_jobs.rules import left_out
from batch_jobs.today import Today
from rec_export.config import Scoring
from rec_export.data.columns import Int64
from rec_export.data.config import DataConfig
from rec_export.policy import Policy

MET = "the user has met it"


def kept_out(
    today: Today, user: Int64, job: ScoreJob, data: DataConfig, how: Scoring, policy: Policy
) -> dict[int, str]:
    """The reason for each item row that a user, int64 [1], cannot get; one reason of several, that of a rule first."""
    out: dict[int, str] = {}
    if how.seen == "exclude":
        out |= dict.fromkeys(today.world.seen(user).item_row.tolist(), MET)
    items = len(today.catalogue.items.vocab)
    if policy.denied is not None:
        out |= dict.fromkeys(policy.denied.take(user).item_row.tolist(), "the rule deny_by_user denies it")
    if policy.allowed is not None and policy.allowed.restricted[user[0]]:
        own = policy.allowed.items.take(user).item_row
        others = np.setdiff1d(np.arange(items), own).tolist()
        out |= dict.fromkeys(others, "the rule allow_by_user: it is not on the user's own list")
    if job.rules.declared():
        files = RuleFiles.read(job, data, today.catalogue)
        for name, which in left_out(job, files, items).items():
            out |= dict.fromkeys(np.flatnonzero(which).tolist(), f"the rule {name} leaves it out for everybody")
    return out
