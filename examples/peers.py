"""Lists by what is well known, to be compared with: recent or fading popularity, ItemKNN, ALS of the implicit library.

    python examples/peers.py recent train.parquet users.parquet --days 30 --out recent.parquet
    python examples/peers.py faded train.parquet users.parquet --days 7 --out faded.parquet
    python examples/peers.py itemknn train.parquet users.parquet --out itemknn.parquet
    python examples/peers.py als train.parquet users.parquet --out als.parquet

A log has user_id and item_id, and timestamp where it matters (seconds, milliseconds or microseconds: what it looks
like); only the first row of each pair counts. Every user gets the 50 best items without those of the log: user_id,
rank, item_id. Nothing of rec-export is in it, so `rec-export evaluate CHECKPOINT --against itemknn.parquet` compares a
model with somebody else's lists.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

K, AT_ONCE = 50, 1000
DAY = 86_400
Scorer = Callable[[np.ndarray], np.ndarray]  # user rows [B] -> scores [B, items]; -1 is a user without a row


class Log(NamedTuple):
    """The first row of each user and item, and the matrix of them, which holds ones."""

    rows: pd.DataFrame
    users: pd.Index
    items: pd.Index
    matrix: sparse.csr_matrix

    @classmethod
    def read(cls, path: Path) -> "Log":
        """From Parquet."""
        rows = pd.read_parquet(path)
        if "timestamp" in rows:
            rows = rows.sort_values("timestamp", kind="stable")
        rows = rows.drop_duplicates(["user_id", "item_id"], ignore_index=True)
        user, users = pd.factorize(rows.user_id)
        item, items = pd.factorize(rows.item_id.sample(frac=1, random_state=0))  # no ties by order
        item = pd.Index(items).get_indexer(rows.item_id)
        shape = len(users), len(items)
        matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (user, item)), shape)
        return cls(rows.assign(item=item, user=user), pd.Index(users), pd.Index(items), matrix)

    def days(self) -> np.ndarray:
        """The age of each row in days, at the newest row."""
        time = self.rows.timestamp.to_numpy(float)
        second = 10.0 ** (3 * max(0, round((np.log10(time.max()) - 9) / 3)))
        return (time.max() - time) / second / DAY


def popularity(log: Log, weight: np.ndarray) -> Scorer:
    """The same for everybody: the sum of the weights of an item's rows."""
    score = np.bincount(log.rows.item, weight, len(log.items))
    return lambda user: np.tile(score, (len(user), 1))


def itemknn(log: Log, days: float | None, shrink: float, neighbours: int, power: float) -> Scorer:
    """The sum over a user's items of c_ij / (n_i^(1 - power) n_j^power + shrink), j among the nearest neighbours of i.

    Deshpande and Karypis 2004, Item-Based Top-N Recommendation Algorithms; a user's older items count for less.
    """
    together = (log.matrix.T @ log.matrix).toarray()
    count = np.diag(together).copy()
    np.fill_diagonal(together, 0)
    near = together / (np.outer(count ** (1 - power), count**power) + shrink)
    if neighbours < len(near):
        near[near < np.partition(near, -neighbours, axis=1)[:, -neighbours, None]] = 0
    taste = log.matrix
    if days is not None:
        weight = (0.5 ** (log.days() / days)).astype(np.float32)
        taste = sparse.csr_matrix((weight, (log.rows.user, log.rows.item)), log.matrix.shape)
    return lambda user: np.where((user >= 0)[:, None], taste[np.maximum(user, 0)] @ near.T, count)


def als(log: Log, factors: int, regularization: float, alpha: float) -> Scorer:
    """Hu, Koren and Volinsky 2008, by the implicit library; users without a row get what is popular."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors, regularization=regularization, alpha=alpha, iterations=15, random_state=0, num_threads=1
    )
    model.fit(log.matrix, show_progress=False)
    count = np.asarray(log.matrix.sum(0)).ravel()
    best = model.user_factors, model.item_factors
    return lambda user: np.where((user >= 0)[:, None], best[0][np.maximum(user, 0)] @ best[1].T, count)


def lists(log: Log, users: pd.Series, scorer: Scorer) -> pd.DataFrame:
    """The best K of each user, without what is in the user's rows."""
    parts = []
    for at in range(0, len(users), AT_ONCE):
        ids = users.iloc[at : at + AT_ONCE]
        user = log.users.get_indexer(pd.Index(ids))
        score = np.array(scorer(user), dtype=np.float64)
        known = user >= 0
        seen = log.matrix[user[known]].tocoo()
        score[np.flatnonzero(known)[seen.row], seen.col] = -np.inf
        k = min(K, score.shape[1])
        top = np.argsort(-score, axis=1, kind="stable")[:, :k]
        live = np.isfinite(np.take_along_axis(score, top, 1)).ravel()
        rank = np.tile(np.arange(1, k + 1), len(ids))
        part = {"user_id": np.repeat(ids.to_numpy(), k), "rank": rank, "item_id": log.items.to_numpy()[top.ravel()]}
        parts.append(pd.DataFrame(part)[live])
    return pd.concat(parts, ignore_index=True)


def main(words: list[str] | None = None) -> None:
    """Write the lists that the words of the command line ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=["recent", "faded", "itemknn", "als"])
    parser.add_argument("log", type=Path)
    parser.add_argument("users", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--days", type=float, help="the window of recent, the half-life of faded and itemknn")
    parser.add_argument("--shrink", type=float, default=50)
    parser.add_argument("--neighbours", type=int, default=500)
    parser.add_argument("--power", type=float, default=0.6)
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--regularization", type=float, default=50)
    parser.add_argument("--alpha", type=float, default=20)
    asked = parser.parse_args(words)
    log = Log.read(asked.log)
    scorer: dict[str, Callable[[], Scorer]] = {
        "recent": lambda: popularity(log, (log.days() <= (asked.days or 30)).astype(float)),
        "faded": lambda: popularity(log, 0.5 ** (log.days() / (asked.days or 7))),
        "itemknn": lambda: itemknn(log, asked.days, asked.shrink, asked.neighbours, asked.power),
        "als": lambda: als(log, asked.factors, asked.regularization, asked.alpha),
    }
    lists(log, pd.read_parquet(asked.users).user_id, scorer[asked.peer]()).to_parquet(asked.out, index=False)


if __name__ == "__main__":
    main()
