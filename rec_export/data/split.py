"""Which rows are for training, which for validation, which for test."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from rec_export.data.columns import Int32
from rec_export.data.config import Split
from rec_export.data.log import Events
from rec_export.errors import DataError, UsageError, some

Parts = npt.NDArray[np.int8]


class Part(IntEnum):
    """The part of a row."""

    TRAIN = 0
    VALID = 1
    TEST = 2


WORDS = {"train": Part.TRAIN, "valid": Part.VALID, "val": Part.VALID, "validation": Part.VALID, "test": Part.TEST}


def split(events: Events, rule: Split) -> Parts:
    """The part of each row, int8 [R]. What was not liked goes with its time or its column, but is never drawn."""
    rng = np.random.default_rng(rule.seed)
    match rule.by:
        case "time":
            parts = by_time(events, rule)
        case "random":
            parts = by_chance(len(events.positive), rule, rng)
        case "user":
            parts = by_chance_within_users(events.user_id.code, rule, rng)
        case "last":
            parts = by_last(events, rule, rng)
        case "column":
            parts = by_column(events, rule)
        case "none":
            parts = np.full(len(events.positive), Part.TRAIN, np.int8)
    if rule.by in ("random", "user"):
        parts[~events.positive] = Part.TRAIN
    if not (parts == Part.TRAIN).any():
        raise DataError(f"the split by {rule.by} leaves none of {len(parts):,} rows to train on; change data.split")
    return parts


def by_time(events: Events, rule: Split) -> Parts:
    """The newest rows are test and the ones before them validation, whoever's they are: a global split."""
    if events.time is None:
        raise UsageError("data.split.by is 'time', but no time column is given; name it in data.interactions.time")
    low, high = np.quantile(events.time, [1 - rule.valid - rule.test, 1 - rule.test], method="higher")
    everything = np.ones(len(events.time), bool)  # the newest row is before no quantile
    early = events.time < low if rule.valid + rule.test > 0 else everything
    middle = events.time < high if rule.test > 0 else everything
    return np.select([early, middle], [Part.TRAIN, Part.VALID], Part.TEST).astype(np.int8)


def by_chance(rows: int, rule: Split, rng: np.random.Generator) -> Parts:
    """Rows drawn at random."""
    parts = np.full(rows, Part.TRAIN, np.int8)
    order = rng.permutation(rows)
    test, valid = round(rule.test * rows), round(rule.valid * rows)
    parts[order[:test]] = Part.TEST
    parts[order[test : test + valid]] = Part.VALID
    return parts


def by_chance_within_users(user: Int32, rule: Split, rng: np.random.Generator) -> Parts:
    """The same share of each user's rows, drawn at random."""
    place = pd.Series(rng.random(len(user))).groupby(user).rank(method="first").to_numpy() - 1
    size = np.bincount(user)[user]
    test, valid = np.round(rule.test * size), np.round(rule.valid * size)
    return np.select([place < test, place < test + valid], [Part.TEST, Part.VALID], Part.TRAIN).astype(np.int8)


def by_last(events: Events, rule: Split, rng: np.random.Generator) -> Parts:
    """Each user's newest positive row is test and the one before it validation, where at least one remains to train on.

    A part whose share is 0 gets nothing. What a user did not like goes with its time. Rows of one time are put in a
    random order: the order of a file often follows the items.
    """
    if events.time is None:
        raise UsageError("data.split.by is 'last', but no time column is given; name it in data.interactions.time")
    user = events.user_id.code
    order = np.lexsort((rng.random(len(user)), events.time, events.positive, user))
    size = np.bincount(user[events.positive], minlength=user.max() + 1)[user[order]]
    from_end = pd.Series(order).groupby(user[order]).cumcount(ascending=False).to_numpy()
    parts = np.full(len(user), Part.TRAIN, np.int8)
    held = [part for part, share in ((Part.TEST, rule.test), (Part.VALID, rule.valid)) if share > 0]
    for place, part in enumerate(held):
        rows = order[(from_end == place) & (size > len(held))]
        since = np.full(user.max() + 1, np.iinfo(np.int64).max)
        since[user[rows]] = events.time[rows]
        parts[~events.positive & (events.time >= since[user]) & (parts == Part.TRAIN)] = part
        parts[rows] = part
    return parts


def by_column(events: Events, rule: Split) -> Parts:
    """A column that says train, valid (or val, validation) or test."""
    assert events.part is not None
    words = pd.Series(events.part.to_pandas()).astype("string").str.lower()
    parts = words.map(WORDS)
    if parts.isna().any():
        strange = words[parts.isna()].unique()
        raise DataError(
            f"column {rule.column!r} says {some(strange)} in {int(parts.isna().sum()):,} rows;"
            " it must say train, valid or test"
        )
    return np.asarray(parts, dtype=np.int8)
