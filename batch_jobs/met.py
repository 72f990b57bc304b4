"""Whether lists hold what must not be recommended tonight: what the user has met, what is gone, what a rule forbids."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.rules import broken
from batch_jobs.task import Task
from rec_export.data.columns import Int32, Int64
from rec_export.data.vocab import Vocab
from rec_export.topk.compiled import compiled
from rec_export.topk.contract import Seen


def met_or_gone(sample: pa.Table, task: Task) -> dict[str, int]:
    """Rows of a sample that recommend what must not be recommended tonight, by kind."""
    catalogue = task.today.catalogue
    user = rows_of(sample["user_id"], catalogue.users.vocab)
    item = rows_of(sample["item_id"], catalogue.items.vocab)
    offered = np.append(task.offered(), False)  # an item that is not known at all, UNKNOWN, is the last
    found = {"items not in tonight's catalogue": int((~offered[item]).sum())}
    if task.plan.how.seen == "exclude":
        start = np.flatnonzero(np.append(True, user[1:] != user[:-1])[: len(user)])  # where each list begins
        seen = task.today.world.seen(user[start])
        listed = Seen(np.append(start, len(user)), item)
        found["items that the user has met"] = met(listed, seen, np.full(len(offered), -1, np.int32))
    return {**found, **broken(user, item, task.ruling.policy, len(catalogue.items.vocab))}


@compiled
def met(listed: Seen, seen: Seen, by: Int32) -> int:
    """How many rows of lists hold what their user has met; both of the same users. `by` int32 [N + 1], -1, is to write
    on: who met each item last; the last place is for items that are not known.
    """
    found = 0
    for user in range(len(listed.start) - 1):
        for place in range(seen.start[user], seen.start[user + 1]):
            by[seen.item_row[place]] = user
        for place in range(listed.start[user], listed.start[user + 1]):
            found += by[listed.item_row[place]] == user
    return found


def rows_of(column: pa.ChunkedArray, vocab: Vocab) -> Int64:
    """The row of each id of a column, in which ids are repeated often; int64 [R]."""
    coded = pc.dictionary_encode(column).combine_chunks()
    return vocab.rows(coded.dictionary)[coded.indices.to_numpy()]
