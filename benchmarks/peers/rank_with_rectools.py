"""RecTools' ranker of vectors: `python rank_with_rectools.py FOLDER`."""

import sys
from pathlib import Path

import numpy as np
from asked import Asked, Rows, answer
from rectools.models.rank import Distance, ImplicitRanker

folder = Path(sys.argv[1])
case = Asked.read(folder)
ranker = ImplicitRanker(Distance.DOT, subjects_factors=case.users, objects_factors=case.items, num_threads=1)
everybody, seen = np.arange(len(case.users)), case.matrix()


def lists() -> Rows:
    """What its models call when they recommend."""
    _, item, _ = ranker.rank(subject_ids=everybody, k=case.k, filter_pairs_csr=seen)
    return np.asarray(item, np.int64).reshape(len(everybody), case.k)


answer(lists, folder, "rectools")
