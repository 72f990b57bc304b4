"""What the peers' scripts share: a log as a matrix, and likings a second. numpy, scipy and pyarrow alone."""

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SECONDS = 2.0  # of CPU time, at least, that are measured
DIM = 64
BATCH, USERS = 4096, 100_000  # of the step whose cost is measured
# The cases of benchmarks/training_cases.py, by name: what starts them must be small, as its memory is in their peak.
OURS = ("bpr of ours", "als of ours", "pmf of ours, 512 candidates", "hybrid, 512 candidates", "hybrid by default")


def matrix(path: str) -> "csr_matrix":
    """Who liked what, float32 [users, items]: 1 for each pair of a Parquet file with user_id and item_id."""
    from scipy.sparse import csr_matrix  # here, as the cases of ours are measured without it

    codes = []
    for name in ("user_id", "item_id"):
        column = pq.read_table(path, columns=[name])[name].combine_chunks()
        codes.append(column.dictionary_encode().indices.to_numpy())
    liked = csr_matrix((np.ones(len(codes[0]), np.float32), codes))
    liked.data[:] = 1
    return liked


def rate(epoch: Callable[[], object], likings: int) -> float:
    """Likings a second of CPU time, over whole epochs."""
    started, epochs = time.process_time(), 0
    while time.process_time() - started < SECONDS:
        epoch()
        epochs += 1
    return likings * epochs / (time.process_time() - started)


def tell(likings: float) -> None:
    """The result, for benchmarks/training.py."""
    sys.stdout.write(json.dumps(likings))
