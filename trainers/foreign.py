"""Somebody else's lists, to be compared with: user_id, item_id and rank, from any file, a folder, or a read root."""

import logging
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_export.by_user import ragged
from rec_export.data.columns import Bool, Int64
from rec_export.data.keys import Keys
from rec_export.data.log import Events
from rec_export.data.read import read_table
from rec_export.data.vocab import UNKNOWN
from rec_export.errors import DataError, MissingInputError, UsageError, some
from rec_export.held_out import HeldOut
from rec_export.recs import FOLDER, PART, Refused
from rec_export.run_lists import Run
from rec_export.sets import distinct, firsts, without
from trainers.listers import Lister

log = logging.getLogger("rec_export")
COLUMNS = ["user_id", "item_id", "rank"]
MANY = 0.5  # of what lists hold: they are meant to hold what was met
OF_CHECKPOINTS = ("spec.json", "weights.safetensors", "manifest.json")  # one of them makes a folder no folder of lists


def holds_lists(path: Path) -> bool:
    """Whether a path is meant as lists, and not as a checkpoint."""
    return Refused.found(path) is not None or not any((path / name).exists() for name in OF_CHECKPOINTS)


def foreign(path: Path, held_out: HeldOut, longest: int) -> Lister:
    """The lists in `path` for the judged users; who has none there counts as missed, and a warning says how many.

    What is at a rank is what is judged: an item that its user had met is not taken out, and is a miss. A warning says
    where all lists are shorter than the `longest` that is judged. Of a read root the newest date is read. Raises
    DataError where an id is missing, a rank is below 1, a user has a rank or an item twice, or no judged user or known
    item is there.
    """
    table = lists_in(path)
    for name in COLUMNS[:2]:
        if table[name].null_count:
            raise DataError(f"{table[name].null_count:,} rows of {path} have no {name}; mend the lists")
    user, item = (Keys.of(table[name], f"{path}, column {name}") for name in COLUMNS[:2])
    rank = ranks_of(table["rank"], path)
    for name, other in (("rank", rank), ("item", item.code)):
        refuse_twice(user, other, name, path)
    rows = held_out.catalogue.users.vocab.rows(user.ids)[user.code]
    missing = int((~np.isin(held_out.user, rows)).sum())
    if missing == len(held_out.user):
        refuse_strangers("judged user has a list", user, path)
    if missing:
        log.warning("%d of %d judged users have no list in %s; they count as misses", missing, len(held_out.user), path)
    items = item.rows_in(held_out.wanted)
    if (items == UNKNOWN).all():
        refuse_strangers("item of the catalogue stands", item, path)
    if int(rank.max(initial=0)) < longest:
        told = "the lists in %s have no more than %d items, and all beyond is a miss; compare at --k %d or less"
        log.warning(told, path, rank.max(), rank.max())
    met = 0.0 if held_out.again else share_met(held_out, rows, items, rank <= longest)
    if met > MANY:
        told = (
            "of what the lists in %s hold %.0f%% had been met by their users, which is a miss; --seen keep judges by it"
        )
        log.warning(told, path, 100 * met)
    items = np.where(items == UNKNOWN, held_out.width, items)  # a place in the list is taken, by no target
    order = np.argsort(rows, kind="stable")
    rows, rank, items = rows[order], rank[order], items[order]

    def lists(users: Int64, k: int) -> Int64:
        best = np.full((len(users), k), UNKNOWN)
        first, stop = np.searchsorted(rows, users, "left"), np.searchsorted(rows, users, "right")
        near = ragged(first, stop)
        live = rank[near.place] <= k
        best[near.owner[live], rank[near.place][live] - 1] = items[near.place][live]
        return best

    return Lister(lists)


def share_met(held_out: HeldOut, user: Int64, item: npt.NDArray[np.integer[Any]], near: Bool) -> float:
    """The share of some places of lists, integers [R] twice and bool [R], that hold what judged users had met."""
    timeline = held_out.timeline
    near = near & (item != UNKNOWN) & (item < timeline.items) & np.isin(user, held_out.user)
    seen = ragged(timeline.seen_start[held_out.user], timeline.seen_start[held_out.user + 1])
    known = held_out.user[seen.owner] * timeline.items + timeline.seen_item[seen.place]
    listed = distinct(user[near] * timeline.items + item[near])
    return 1 - len(without(listed, known)) / len(listed) if len(listed) else 0.0


def refuse_strangers(who: str, keys: Keys, path: Path) -> NoReturn:
    """Raise DataError, as lists that name nobody or nothing that is judged would be misses alone."""
    first = some(keys.ids.slice(0, 1).to_pylist())
    raise DataError(f"no {who} in {path}, which has {first}; check that they are ids of the same kind")


def refuse_twice(user: Keys, other: npt.NDArray[np.integer[Any]], name: str, path: Path) -> None:
    """Raise DataError where a user has something twice; int [R]."""
    key = user.code.astype(np.int64) * (int(other.max(initial=0)) + 1) + other
    again = ~firsts(key)
    if again.any():
        who = some(user.ids.take(pa.array(np.unique(user.code[again]))).to_pylist())
        raise DataError(
            f"{int(again.sum()):,} rows of {path} repeat the {name} of a user, such as {who}; mend the lists"
        )


def lists_in(path: Path) -> pa.Table:
    """The columns of a file, of a folder of them, of a run, or of the newest date below a read root."""
    run = published(path)
    if run is not None:
        log.info("against the lists of %s", run.label)
        path = run.parts[0].parent
    return read_table(path, COLUMNS, text=COLUMNS[:2])


def published(path: Path) -> Run | None:
    """The run at a path, where it is one of ours: below a read root, refused, or parts with or without a manifest."""
    if Refused.found(path) is None:
        names = [inner.name for inner in path.iterdir()] if path.is_dir() else []
        parts = any(map(PART.fullmatch, names))
        right_below = path.resolve().parent.parent == path.resolve().parent  # / is no read root, and has no manifests
        if not any(map(FOLDER.fullmatch, names)) and (not parts or right_below):
            return None
    run = Run.at(path)
    if not run.parts:
        raise MissingInputError(f"{path} holds no parts of lists; name a read root, a folder of parts, or a file")
    return run


def refuse_informed(path: Path, known: Events, test: Events, whole: str | None, again: bool) -> None:
    """Raise UsageError where a run of ours had read what it is judged on; warn where it may have, and where it leaves
    out what users had met though that is held out (`again`).

    It had, where it read the very file that holds the known and the held-out rows, whose sha256 is `whole`. It may
    have, where these follow all that is known, and its log goes on after the first of them; without time, where its log
    has more rows than are known.
    """
    run = published(path)
    if run is None or run.manifest is None:
        return
    newest, same = run.manifest.as_of, whole == run.manifest.inputs.get("interactions", "")
    until = "" if newest is None else f" up to {newest}"
    missed = "what users liked in them was left out as seen"
    if run.manifest.seen == "keep":
        missed = "what users liked in them was known"
    if again and run.manifest.seen == "exclude":
        log.warning("the lists in %s leave out what users had met, which is held out as well (--seen keep)", path)
    ends_later = follows = True
    if newest is not None and known.time is not None and test.time is not None:
        end, first = datetime.fromisoformat(newest).timestamp(), int(test.time.min()) // 1_000_000  # whole seconds
        same, ends_later = same and end >= first, end > first
        follows = int(known.time.max()) <= int(test.time.min())
    if same:
        raise UsageError(
            f"the lists in {path} were made from a log{until}, which holds the held-out rows: {missed}."
            " Score the log without those rows, and judge these lists"
        )
    if newest is not None and follows and ends_later:
        log.warning("the lists in %s were made from a log%s; if it holds held-out rows, %s", path, until, missed)
    rows = len(known.user_id)
    if newest is None and run.manifest.log_rows > rows:
        told = "the lists in %s were made from a log of %d rows, where %d are known; if it holds held-out rows, %s"
        log.warning(told, path, run.manifest.log_rows, rows, missed)


def ranks_of(column: pa.ChunkedArray, path: Path) -> Int64:
    """Whole numbers from 1 on, int64 [R]. Raises DataError."""
    numbers = pa.types.is_integer(column.type) and column.null_count == 0
    if not numbers or pc.min(column).as_py() < 1:
        raise DataError(f"the column rank of {path} should hold whole numbers, from 1 on for each user, and does not")
    return column.to_numpy().astype(np.int64)
