"""What approximate lists hold of the exact ones: measured on lists that were written, in the run that wrote them."""

import numpy as np
import pyarrow as pa

from batch_jobs.audit import hashes, one_in, step_for
from batch_jobs.task import Task
from rec_export.data.columns import whole
from rec_export.run_manifest import Recall
from rec_export.scorer import Model, Scorer, chunks, spread
from rec_export.topk.approximate import pays

SAMPLE = 512  # users
AT_ONCE = 128
HASHED = 1 << 16  # ids, at once


def measured(task: Task, sample: pa.Table) -> Recall:
    """The lists of some users in `sample` (user_id, item_id, read back from the parts) beside exact ones.

    Who has no row in it, though chosen for it, has an empty list.
    """
    plan, today = task.plan, task.today
    model = Model.of_bundle(plan.bundle, plan.how.runtime, plan.device)
    exact = Scorer(model, today.catalogue, today.world, today.eligible, task.ruling.policy)
    users, keep = today.catalogue.users.vocab, one_in(step_for(len(today.users)))
    row = users.rows(whole(sample["user_id"]))
    item = today.catalogue.items.vocab.rows(whole(sample["item_id"]))
    everybody = np.concatenate([some[keep(hashes(users.take(some)))] for some in chunks(today.users, HASHED)])
    served = everybody[exact.serves(everybody)]  # the others get popular items, which are exact
    user = spread(served, SAMPLE)
    listed, shares = np.isin(row, user), []
    row, item = row[listed], item[listed]
    for some in chunks(user, AT_ONCE):
        top = exact.best(some, plan.how.k, keep_seen=plan.how.seen == "keep").top
        for one, wanted, count in zip(some, top.item_row, top.count, strict=True):
            shares.append(np.isin(wanted[:count], item[row == one]).mean() if count else 1.0)
    share = np.array(shares or [1.0])
    return Recall(
        users=len(user),
        recall=round(float(share.mean()), 6),
        least=round(float(share.min()), 6),
        same=round(float((share == 1).mean()), 6),
        searched=pays(model.head, exact.item_vec),
    )
