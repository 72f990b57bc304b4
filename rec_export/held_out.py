"""What a checkpoint is judged by: the world before the held-out rows, and what users liked next."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Checkpoint
from rec_export.choices import SeenRule
from rec_export.data.columns import Bool, Int64
from rec_export.data.config import DataConfig, Interactions
from rec_export.data.log import Events, make_log, once, read_events, say_left_out, select
from rec_export.data.read import fingerprint
from rec_export.data.source import Source
from rec_export.data.split import Part
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError, UsageError
from rec_export.metrics import Targets
from rec_export.sets import distinct, without
from rec_export.world import Timeline

ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, so that a pair is another number than its reverse
LENGTHS = {"<=3": (0, 3), "4-10": (4, 10), "11-30": (11, 30), ">30": (31, 2**62)}  # items that a warm user has liked


class HeldOut(NamedTuple):
    """The world before the held-out rows, and what came next."""

    catalogue: Catalogue
    timeline: Timeline
    user: Int64  # [U] the users that are judged
    warm: Bool  # [U] whether they had any row before
    targets: Targets
    wanted: Vocab  # the items of the catalogue, and after them the others of the held-out rows: rows of the targets
    width: int  # which lie below it
    again: bool = False  # whether what a user has met is a target like any other, and may stand in lists

    @classmethod
    def of(cls, checkpoint: Checkpoint, known: Events, test: Events, seen: SeenRule | None = None) -> Self:
        """From the rows that are known and the ones that are held out.

        A pair that is known already is a target where lists keep what was `seen`; None: as the checkpoint's do.
        """
        users = checkpoint.catalogue.users.grown(known.user_id.present(), None).grown(test.user_id.present(), None)
        items = checkpoint.catalogue.items.grown(known.item_id.present(), None)
        catalogue = Catalogue(users, items)
        log = make_log(known, users.vocab, items.vocab)
        timeline = Timeline.of(log, users.table.num_rows, items.table.num_rows)
        wanted = items.vocab.plus(test.item_id.present())
        liked = make_log(select(test, test.positive), users.vocab, wanted)
        width = items.table.num_rows + len(test.item_id.ids)
        again = (seen or checkpoint.blueprint.score.seen) == "keep"
        key = distinct(liked.pairs(width)) if again else without(liked.pairs(width), log.pairs(width))
        user = distinct(key // width)
        if len(user) == 0:
            new = "" if again else " that is new to its user, as what the log holds is known"
            raise DataError(f"no held-out row is a liking{new}; there is nothing to judge by")
        warm = np.diff(timeline.seen_start)[user] > 0
        targets = Targets(np.searchsorted(user, key // width), key % width)
        return cls(catalogue, timeline, user, warm, targets, wanted, width, again)

    def told_apart(self) -> str:
        """A fingerprint of who is judged by what: pairs of a user's id and an item's, and whether what was met counts.

        It is the same for every model that is judged by these rows, whatever places it has for them.
        """
        user, item = (hashed(vocab.ids) for vocab in (self.catalogue.users.vocab, self.wanted))
        pairs = np.sort(user[self.user][self.targets.user] * ODD + item[self.targets.item_row])
        return hashlib.sha256(pairs.tobytes() + bytes([self.again])).hexdigest()

    def segments(self) -> dict[str, Bool]:
        """The users of each kind, bool [U]: all, warm and cold ones, and the warm ones by what they have liked."""
        liked = np.diff(self.timeline.start)[self.user]
        lengths = {name: self.warm & (liked >= low) & (liked <= high) for name, (low, high) in LENGTHS.items()}
        return {"all": np.ones(len(self.user), bool), "warm": self.warm, "cold": ~self.warm, **lengths}


def hashed(ids: pa.Array) -> npt.NDArray[np.uint64]:
    """A number for each id that follows from how it is written, uint64 [n]."""
    texts = ids.cast(pa.large_string()).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.uint64] = pd.util.hash_array(texts, categorize=False)
    return found


def known_and_test(checkpoint: Checkpoint, test: Path | None) -> tuple[Events, Events]:
    """The rows before, and the held-out rows: a file, or the test part of the split."""
    data, learned = checkpoint.blueprint.data, checkpoint.blueprint.inputs.get("interactions")
    path = data.interactions.path
    grown = fingerprint(path) != learned
    if grown and not (test is not None and data.split.by == "none"):
        raise DataError(
            f"{path} has changed since the checkpoint was trained, so its split would hold out other rows;"
            " restore it, or train again"
        )
    source = Source.read(data, checkpoint.blueprint.rated)
    say_left_out(source.events, path)
    return known_and_held_out(source, data, test, grown)


def known_and_held_out(
    source: Source, data: DataConfig, test: Path | None, grown: bool = False
) -> tuple[Events, Events]:
    """The same of a log that was read. Raises UsageError where neither a file nor the split holds anything out.

    `grown`: the log has gone on since the training, so it may hold the file's rows too; these are not known.
    """
    if test is not None:
        later = once(read_events(data.interactions.model_copy(update={"path": test})), data.interactions.repeats)
        say_left_out(later, test)
        known = source.rows(Part.TRAIN, Part.VALID)
        if source.events.time is not None and later.time is not None:
            known = known | (source.events.time < later.time.min())  # of the test part too, as `score` would read it
        if grown:
            known = known & ~shared(source.events, later)
        return once(select(source.events, known), data.interactions.repeats), later
    rows = source.rows(Part.TEST)
    if not rows.any():
        raise UsageError(
            "the checkpoint's split (data.split) holds out no test rows; "
            + ways_to_hold_out(data.interactions, "train")
        )
    return select(source.events, source.rows(Part.TRAIN, Part.VALID)), select(source.events, rows)


def shared(log: Events, test: Events) -> Bool:
    """Which rows of a log another one holds too: of one user, item and, where both have it, time; bool [R]."""
    users, items = Vocab(test.user_id.present()), Vocab(test.item_id.present())
    timed = log.time is not None and test.time is not None

    def rows(events: Events, some: Bool) -> pd.MultiIndex:
        time = events.time if timed and events.time is not None else np.zeros(len(some), np.int64)
        columns = events.user_id.rows_in(users), events.item_id.rows_in(items), time
        return pd.MultiIndex.from_arrays([column[some] for column in columns])

    perhaps = (log.user_id.rows_in(users) != UNKNOWN) & (log.item_id.rows_in(items) != UNKNOWN)
    perhaps[perhaps] = rows(log, perhaps).isin(rows(test, np.ones(len(test.positive), bool)))
    return perhaps


def whole_log(checkpoint: Checkpoint, test: Path | None) -> str | None:
    """The sha256 of the file that holds both the known and the held-out rows; None where these are a file apart."""
    return checkpoint.blueprint.inputs.get("interactions") if test is None else None


def ways_to_hold_out(log: Interactions, do: str) -> str:
    """What to do where nothing is held out; in a log without time no rows are later, and none are split by time."""
    rows, split = ("later", "time (or random)") if log.time is not None else ("other", "random (or user)")
    return f"name a file of {rows} rows with --test, or {do} with --set data.split.by={split}"
