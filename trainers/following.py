"""What is liked soon after what, by whoever liked both: counts of pairs, as a dot product of two tables.

Of items i and j it is counted how often j was liked after i, a step later as 1, and half as much for every FOLLOWED
items in between; as cosines, drawn to nothing by SHRINK. Of these only the largest directions are kept, which also
tells of pairs that nobody made (as counts of words are made vectors in Levy and Goldberg 2014, Neural Word Embedding as
Implicit Matrix Factorization). docs/decisions.md has the figures.
"""

from typing import TYPE_CHECKING

import numpy as np

from rec_export.by_user import ragged
from rec_export.data.columns import Float32
from rec_export.world import Timeline
from trainers.shallow import peers

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FOLLOWED = 3.0  # items between two, over which a pair's weight halves
STEPS = 16  # to a later item at most: what is further weighs under .03
LATEST = 200  # items of a user at most, the newest, as many say little of each
LIKINGS = 300_000  # of all users at most, as the time grows with the pairs
SHRINK = 5.0  # pairs
DENSE = 1000  # items up to which all directions are found


def following_tables(timeline: Timeline, items: int, rank: int) -> tuple[Float32, Float32]:
    """What each of the first `items` items reads and says, float32 [items, R] each, from all likings; R <= rank."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import svds

    pairs = followed(timeline, items)
    before, after = (diags_array(1 / np.sqrt(np.asarray(pairs.sum(axis)).ravel() + SHRINK)) for axis in (1, 0))
    known = np.unique(pairs.nonzero())
    cosine = (before @ pairs @ after).astype(np.float32).tocsr()[known][:, known]
    if len(known) > max(rank, DENSE):
        left, size, right = svds(cosine, rank, rng=0)
    else:  # of few directions that finds others each time
        left, size, right = np.linalg.svd(cosine.toarray(), full_matrices=False)
        left, size, right = left[:, :rank], size[:rank], right[:rank]
    reads, says = np.zeros((2, items, len(size)), np.float32)
    reads[known], says[known] = left * np.sqrt(size), right.T * np.sqrt(size)
    return reads, says


def followed(timeline: Timeline, items: int) -> "csr_matrix":
    """How often one item was liked before another one, by the steps between, float32 [items, items]."""
    from scipy.sparse import csr_matrix

    peer = peers(timeline)
    length = np.minimum(timeline.start[peer + 1] - timeline.start[peer], LATEST)
    drawn = np.random.default_rng(1).permutation(len(peer))
    peer = np.sort(peer[drawn[np.cumsum(length[drawn]) <= LIKINGS]])
    stop = timeline.start[peer + 1]
    liked = ragged(np.maximum(timeline.start[peer], stop - LATEST), stop)
    item, pairs = timeline.item(liked.place), csr_matrix((items, items), dtype=np.float32)
    for step in range(1, STEPS + 1):
        same = liked.owner[step:] == liked.owner[:-step]
        weight = np.full(int(same.sum()), 0.5 ** ((step - 1) / FOLLOWED), np.float32)
        pairs = pairs + csr_matrix((weight, (item[:-step][same], item[step:][same])), (items, items))
    return pairs
