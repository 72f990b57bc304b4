"""A shallow auto-encoder of items: what goes with what, found in closed form.

EASE (Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, arXiv:1905.03375) weighs what goes with what by
the inverse of X'X + RIDGE, X being who liked what. Of X'X only the largest directions are kept (low rank as in Jin
et al. 2021, Towards a Better Understanding of Linear Models for Recommendation, arXiv:2105.12937), so that a score is a
dot product.
"""

from typing import TYPE_CHECKING

import numpy as np

from rec_export.by_user import ragged
from rec_export.data.columns import Float32, Int64
from rec_export.world import Timeline

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

RIDGE = 100.0  # users
PEERS = 50_000  # users at most who tell what goes with what


def shallow_tables(timeline: Timeline, items: int, rank: int) -> tuple[Float32, Float32]:
    """What each of the first `items` items reads and says, float32 [items, R] each, from all likings; R <= rank."""
    from scipy.sparse import csr_matrix  # here, as some models do without

    peer = peers(timeline)
    liked = ragged(timeline.start[peer], timeline.start[peer + 1])
    rows = np.ones(len(liked.place), np.float32), timeline.item(liked.place), liked.start
    size, across = directions(csr_matrix(rows, (len(peer), items)), rank)
    kept = size**2 / (size**2 + RIDGE)
    says = across.T / np.maximum(1 - (across**2 * kept[:, None]).sum(0), 1e-6)[:, None]
    return (across * kept[:, None]).T, says


def peers(timeline: Timeline) -> Int64:
    """Users who liked anything, ascending, int64 [P]: a sample of them where they are many."""
    who = np.flatnonzero(np.diff(timeline.start) > 0)
    return np.sort(np.random.default_rng(0).permutation(who)[:PEERS])


def directions(who: "csr_matrix", rank: int) -> tuple[Float32, Float32]:
    """The largest singular values of a float32 matrix [U, N], [R] with R at most `rank`, and their vectors [R, N]."""
    from scipy.sparse.linalg import svds

    if rank < min(who.shape):
        _, size, across = svds(who, rank, rng=0)
    else:  # all of them, which the other does not find
        _, size, across = np.linalg.svd(who.toarray(), full_matrices=False)
    return size, across
