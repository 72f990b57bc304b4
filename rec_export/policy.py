"""Policy: the business rules of a run, in rows of its catalogue."""

from typing import NamedTuple

import numpy as np

from rec_export.data.columns import Bool, Float32, Int64
from rec_export.topk.caps import Caps
from rec_export.topk.contract import Allowed, Seen
from rec_export.topk.mmr import Diversity


class Policy(NamedTuple):
    """What the lists of U users must keep to, over N items."""

    kept: Bool | None = None  # [N] the items that no rule leaves out for everybody
    denied: Seen | None = None  # [U] item rows
    allowed: Allowed | None = None  # [U] item rows
    caps: Caps | None = None  # [N]
    popularity_penalty: float | None = None
    diversity: Diversity | None = None

    def penalty(self, likings: Int64) -> Float32 | None:
        """What is taken from the scores of items that were liked so often, int64 [N], float32 [N]: rounded once."""
        if self.popularity_penalty is None:
            return None
        return (self.popularity_penalty * np.log1p(likings.astype(np.float64))).astype(np.float32)


NO_RULES = Policy()
