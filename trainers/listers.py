"""Who recommends: the model, and what it must beat. Each gives lists, and scores for those who ask for ranks."""

from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from rec_export.checkpoint import Checkpoint
from rec_export.data.columns import Int64
from rec_export.data.vocab import UNKNOWN
from rec_export.held_out import HeldOut
from rec_export.scorer import Model, Scorer
from rec_export.sets import distinct
from rec_export.topk import Ranker
from rec_export.towers import DotHead
from trainers.unmet import unmet


@final
class Lister(NamedTuple):
    """A way to recommend."""

    lists: Callable[[Int64, int], Int64]  # users [B], k -> item rows [B, k], UNKNOWN where the list is shorter
    scores: Callable[[Int64], Tensor] | None = None  # users [B] -> float32 [B, N]; None where there are no scores


def scorer_of(checkpoint: Checkpoint, held_out: HeldOut, device: torch.device) -> Scorer:
    """A checkpoint's own towers in the world before the held-out rows."""
    world = held_out.timeline.as_of(None, checkpoint.blueprint.clock)
    return Scorer(Model.of_checkpoint(checkpoint, device), held_out.catalogue, world)


def listers(scorer: Scorer, keep_seen: bool) -> dict[str, Lister]:
    """The model (with the popular items for users it knows nothing of, as `score` does), popularity and chance."""
    counts, recent = len(scorer.world.clock.half_lives), scorer.model.blueprint.recent
    popular = {"popular": by_trend(scorer, counts, keep_seen)}
    popular |= {"recent": by_trend(scorer, recent, keep_seen)} if counts else {}
    return {"model": by_model(scorer, keep_seen), **popular, "random": at_random(scorer, keep_seen)}


def by_model(scorer: Scorer, keep_seen: bool) -> Lister:
    """What `score` publishes."""
    popular = torch.from_numpy(scorer.world.trend())[:, scorer.model.blueprint.recent]

    def scores(user: Int64) -> Tensor:
        added = scorer.added(user) if keep_seen else None
        with torch.inference_mode():
            score = scorer.model.head(scorer.user_vectors(user), scorer.item_vec).cpu()
            if added is not None:
                score[added.items.user(), added.items.item_row] += torch.from_numpy(added.term)
            return torch.where(torch.from_numpy(scorer.serves(user)).unsqueeze(1), score, popular)

    return Lister(lambda user, k: scorer.best(user, k, keep_seen).top.item_row, scores)


def by_trend(scorer: Scorer, column: int, keep_seen: bool) -> Lister:
    """The most popular items by a column of the trends."""
    popular = torch.from_numpy(scorer.world.trend())[:, column]
    ranker = Ranker(DotHead(), popular.unsqueeze(1), device=torch.device("cpu"))
    return Lister(
        lambda user, k: ranker.top_k(torch.ones(len(user), 1), k, scorer.seen(user, keep_seen)).item_row,
        lambda user: popular.repeat(len(user), 1),
    )


def at_random(scorer: Scorer, keep_seen: bool) -> Lister:
    """Any items that may be recommended to a user."""
    rng = np.random.default_rng(0)

    def lists(user: Int64, k: int) -> Int64:
        found = np.full((len(user), k), UNKNOWN)
        seen, items = scorer.seen(user, keep_seen), len(scorer.items)
        for mine, first, stop in zip(found, seen.start, seen.start[1:], strict=False):
            met = distinct(seen.item_row[first:stop])
            left = min(k, items - len(met))
            mine[:left] = unmet(met, rng.choice(items - len(met), left, replace=False))
        return found

    return Lister(lists)
