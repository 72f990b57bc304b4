"""Whether the model tells what a user liked from what others liked: what a night can ask that has none to compare with.

The newest item that each of some users liked is scored beside the newest ones of other users. As these are popular to
the same degree, a model that knows nothing of who is who, or whose items or users were shuffled, puts the user's own
first in half of the cases.
"""

import numpy as np
import torch
from torch import Tensor

from batch_jobs.task import Task
from rec_export.data.columns import Int64
from rec_export.scorer import Model, Scorer, chunks, spread
from rec_export.towers import Head

USERS = 2048
FEWEST = 1000  # users: by chance alone fewer of them may come to the threshold, .5 give or take .01
LOOKED_AT = 8  # users for each of them, as many may have liked nothing
AT_ONCE = 128  # users, each beside the others


def own_before_others(task: Task) -> float | str:
    """The share of cases in which what a user liked last scores above what another liked last; .5 is chance.

    Or, as a clause, why there is no telling.
    """
    plan, today = task.plan, task.today
    if plan.bundle.manifest.blueprint.rated:
        return "the model predicts the value of a row, not which rows there are"
    user, item = newest(task)
    if len(user) < FEWEST:
        return f"only {len(user):,} users liked anything that the model knows, and {FEWEST:,} are wanted"
    wanted = np.zeros(len(today.catalogue.items.vocab), np.bool_)
    wanted[item] = True
    model = Model.of_bundle(plan.bundle, plan.how.runtime, plan.device)
    scorer = Scorer(model, today.catalogue, today.world, wanted)
    served = scorer.serves(user)
    user, item = user[served], item[served]
    if len(user) < FEWEST:
        return f"only {len(user):,} of the users who liked something are known to the model"
    user_vec, item_vec = scorer.user_vectors(user), scorer.item_vec[torch.from_numpy(scorer.place[item])]
    if bool((user_vec == user_vec[0]).all()):
        return "the model says the same of everybody"
    share = own_first(model.head.cpu(), user_vec.cpu(), item_vec.cpu(), item)
    return "all users liked the same item last" if share is None else share


def newest(task: Task) -> tuple[Int64, Int64]:
    """Some of the users who are scored and liked an item that the model knows, and the newest item of each."""
    user = spread(task.today.users, LOOKED_AT * USERS)
    history, size = task.today.world.history(user, 1)
    some = spread(np.flatnonzero((size > 0) & (history[:, 0] < task.today.catalogue.items.trained)), USERS)
    return user[some], history[some, 0]


def own_first(head: Head, user_vec: Tensor, item_vec: Tensor, item: Int64) -> float | None:
    """How often a user's own item scores above another item, of another user; as one half where they score the same.

    float32 [B, Du], float32 [B, Di] and int64 [B]: the item of each user. None where all have the same item.
    """
    first, cases = 0.0, 0
    for some in chunks(np.arange(len(user_vec)), AT_ONCE):
        with torch.inference_mode():
            score = head(user_vec[some], item_vec[some])
        own, other = score.diagonal()[:, None], torch.from_numpy(item[some][:, None] != item[some])
        first += float(((own > score) & other).sum()) + float(((own == score) & other).sum()) / 2
        cases += int(other.sum())
    return first / cases if cases else None
