"""How much of a night's lists is items that nobody ever liked: what a model says of them was learned from none."""

import pandas as pd
import pyarrow as pa

from batch_jobs.audit import hashes
from batch_jobs.task import Task


def untried_share(task: Task, lists: pd.Series) -> float | str:
    """The share of places with items that were liked neither in training nor in today's log.

    `lists`: the hash of an item's id -> lists that hold it. Or, as a clause, why there is no telling.
    """
    today = task.today
    untried = today.world.likings() == 0
    untried[: today.catalogue.items.trained] = False
    others, k = int((task.offered() & ~untried).sum()), task.plan.how.k
    if others < k:
        return f"{others:,} other items may be recommended, and lists hold {k:,}"
    ids = today.catalogue.items.vocab.ids.filter(pa.array(untried))
    return float(lists[lists.index.isin(hashes(ids))].sum() / max(lists.sum(), 1))
