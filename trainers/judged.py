"""Lists that were held against the held-out rows: every user's metrics, and what the lists are made of."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from rec_export.analysis import ListShape, ListShapes, group_shares
from rec_export.data.columns import Int64
from rec_export.data.vocab import UNKNOWN
from rec_export.held_out import HeldOut
from rec_export.metrics import Float64, auc, hits, per_user
from rec_export.progress import track
from rec_export.scorer import chunks
from trainers.listers import Lister


class Judged(NamedTuple):
    """The lists of one lister, and the metrics of each user."""

    lists: Int64  # [U, K], UNKNOWN where there is no item of the catalogue
    values: dict[str, Float64]  # [U]


def judge(lister: Lister, held_out: HeldOut, ks: tuple[int, ...], name: str) -> Judged:
    """The lists and metrics of one lister."""
    portions = list(chunks(held_out.user, 512))
    lists = np.concatenate([lister.lists(user, max(ks)) for user in track(portions, len(portions), name)])
    hit = hits(lists, held_out.targets, held_out.width)
    count = held_out.targets.counts(len(held_out.user))
    values: dict[str, Float64] = {}
    for k in ks:
        metrics = per_user(hit, count, k) | {"auc": auc(hit, lists != UNKNOWN, count, k, held_out.timeline.items)}
        values |= {f"{metric}@{k}": value for metric, value in metrics.items()}
    return Judged(np.where(lists < held_out.timeline.items, lists, UNKNOWN), values)


def user_table(judged: dict[str, Judged], held_out: HeldOut) -> pa.Table:
    """A row for each lister and judged user: how many items it had liked, how many were held out, and every metric."""
    users = held_out.catalogue.users.vocab.ids.take(pa.array(held_out.user))
    told = {
        "user_id": users,
        "liked_before": np.diff(held_out.timeline.start)[held_out.user],
        "warm": held_out.warm,
        "held_out": held_out.targets.counts(len(held_out.user)),
    }
    return pa.concat_tables(
        pa.table({"lister": pa.repeat(name, len(users)), **told, **one.values}) for name, one in judged.items()
    )


def shapes(judged: dict[str, Judged], held_out: HeldOut, k: int) -> ListShapes:
    """Which items each lister's lists are made of, by popularity in the known rows; and which were liked next."""
    items = held_out.timeline.items
    popularity = np.bincount(held_out.timeline.event_item, minlength=items).astype(np.float64)
    liked = np.bincount(held_out.targets.item_row, minlength=items)[:items].astype(np.float64)
    return ListShapes(
        items=items,
        listers={name: ListShape.measured(one.lists, k, popularity) for name, one in judged.items()},
        liked=group_shares(liked, popularity),
    )
