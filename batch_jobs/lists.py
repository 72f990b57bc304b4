"""The lists of some users by a scorer, and where each came from."""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from batch_jobs.parts import COLD, FALLBACK, MODEL, Lists
from rec_export.config import Scoring
from rec_export.data.columns import Int64
from rec_export.scorer import Scorer


def lists_of(scorer: Scorer, user: Int64, how: Scoring, user_vec: Tensor | None = None) -> Lists:
    """The lists of users [B]; `user_vec` float32 [B, Du]: their vectors, where they are known already."""
    listed = scorer.best(user, how.k, keep_seen=how.seen == "keep", user_vec=user_vec)
    return Lists(user, listed, sources_of(scorer, user))


def sources_of(scorer: Scorer, user: Int64) -> npt.NDArray[np.int8]:
    """Where the lists of users [B] come from, as places in SOURCES."""
    trained, known = user < scorer.catalogue.users.trained, scorer.known(user)
    return np.select([trained & known, known], [MODEL, COLD], FALLBACK).astype(np.int8)
