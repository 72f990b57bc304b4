"""Likings a second of the `implicit` library: `python with_implicit.py als|bpr LOG`."""

import sys

from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from measured import DIM, matrix, rate, tell
from threadpoolctl import threadpool_limits

kind, log = sys.argv[1:]
liked = matrix(log)
with threadpool_limits(1, "blas"):
    if kind == "als":
        # All iterations in one call, as a user would: the library weighs and turns the matrix once a call.
        solver = AlternatingLeastSquares(factors=32, alpha=5.0, iterations=3, num_threads=1, random_state=0)
        tell(rate(lambda: solver.fit(liked, show_progress=False), 3 * liked.nnz))
    else:
        ranking = BayesianPersonalizedRanking(factors=DIM, iterations=1, num_threads=1, random_state=0)
        tell(rate(lambda: ranking.fit(liked, show_progress=False), liked.nnz))
