"""What the peers' rankers share: a case from a folder, and rounds on demand. numpy and scipy alone."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

Rows = npt.NDArray[np.int64]


class Asked(NamedTuple):
    """Whose best items are wanted: float32 [B, D] and [N, D], what each user has seen, and how many items."""

    users: npt.NDArray[np.float32]
    items: npt.NDArray[np.float32]
    start: Rows  # [B + 1] where each user's seen items begin
    seen: Rows  # item rows
    k: int

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What benchmarks/rankers.py wrote."""
        parts = np.load(folder / "case.npz")
        return cls(parts["users"], parts["items"], parts["start"], parts["seen"], int(parts["k"]))

    def matrix(self) -> csr_matrix:
        """Who has seen what, float32 [B, N]."""
        shape = len(self.users), len(self.items)
        found = csr_matrix((np.ones(len(self.seen), np.float32), self.seen, self.start), shape=shape)
        found.sum_duplicates()
        return found

    def most(self) -> int:
        """How many items find K that are new to whoever has seen most."""
        return min(len(self.items), self.k + int(np.diff(self.start).max(initial=0)))

    def unseen(self, row: Rows) -> Rows:
        """The first K of item rows [B, K + some] that their user has not seen."""
        pair = np.arange(len(row))[:, None] * len(self.items) + row
        user = np.repeat(np.arange(len(self.users)), np.diff(self.start))
        met = np.isin(pair, user * len(self.items) + self.seen)
        return np.take_along_axis(row, np.argsort(met, axis=1, kind="stable")[:, : self.k], 1)


def answer(way: Callable[[], Rows], folder: Path, name: str) -> None:
    """For each line that comes, find all lists once and say how many seconds that took; leave the last ones."""
    for _ in sys.stdin:
        began = time.perf_counter()
        lists = way()
        sys.stdout.write(json.dumps(time.perf_counter() - began) + "\n")
        sys.stdout.flush()
        np.save(folder / f"{name}.npy", lists)
