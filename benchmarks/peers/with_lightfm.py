"""Likings a second of rectools-lightfm: `python with_lightfm.py warp|bpr LOG`."""

import sys

from lightfm import LightFM
from measured import DIM, matrix, rate, tell

loss, log = sys.argv[1:]
liked = matrix(log).tocoo()
model = LightFM(no_components=DIM, loss=loss, random_state=0)
model.fit_partial(liked, epochs=0)  # its tables
tell(rate(lambda: model.fit_partial(liked, epochs=1, num_threads=1), liked.nnz))
