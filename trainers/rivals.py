"""Another checkpoint beside the one that is judged: whether both hold out the same, and its lists."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from rec_export.checkpoint import Checkpoint
from rec_export.data.columns import Int64
from rec_export.data.config import DataConfig
from rec_export.data.source import PAIRS
from rec_export.errors import UsageError
from rec_export.held_out import HeldOut, known_and_test
from trainers.foreign import holds_lists
from trainers.listers import Lister, by_model, scorer_of


def opponent(against: Path, path: Path, checkpoint: Checkpoint) -> Checkpoint | None:
    """The checkpoint `against`, if it is one. Raises UsageError where other rows were held out of the one in `path`."""
    if holds_lists(against):
        return None
    other = Checkpoint.read(against)
    mine, theirs = checkpoint.blueprint, other.blueprint
    files = [name for name in {**mine.inputs, **theirs.inputs} if mine.inputs.get(name) != theirs.inputs.get(name)]
    if files:
        raise UsageError(
            f"{against} and {path} did not learn from the same files: data.{' and data.'.join(files)}"
            f" {'is' if len(files) == 1 else 'are'} not the same; train both anew"
        )
    unlike = list(differing(theirs.data, mine.data))
    if unlike:
        raise UsageError(f"{against} and {path} differ in what is held out: {', '.join(unlike)}; train both alike")
    if mine.data.split.by in PAIRS and mine.rated != theirs.rated:
        raise UsageError(
            f"one of {against} and {path} predicts values, so its split by {mine.data.split.by} held out"
            " disliked rows too; split both by time or by a column"
        )
    return other


def differing(one: DataConfig, other: DataConfig) -> Iterator[str]:
    """The keys of data.split and data.interactions whose values differ, with both; a path may, as hashes tell."""
    for section in ("split", "interactions"):
        mine, theirs = (getattr(config, section).model_dump(mode="json", exclude={"path"}) for config in (one, other))
        yield from (
            f"data.{section}.{key} is {mine[key]} and {theirs[key]}" for key in mine if mine[key] != theirs[key]
        )


def rival_of(other: Checkpoint, test: Path | None, held_out: HeldOut, device: torch.device) -> Lister:
    """Another checkpoint's lists in this one's rows. The catalogues hold the same ids, perhaps in another order."""
    rival = HeldOut.of(other, *known_and_test(other, test), "keep")  # whose targets are not asked for
    users, items = held_out.catalogue.users.vocab, held_out.catalogue.items.vocab
    row = rival.catalogue.users.vocab.rows(users.ids)
    mine = items.rows(rival.catalogue.items.vocab.ids)
    theirs = by_model(scorer_of(other, rival, device), held_out.again)

    def lists(user: Int64, k: int) -> Int64:
        best = theirs.lists(row[user], k)
        return np.where(best < 0, best, mine[best])

    def scores(user: Int64) -> torch.Tensor:
        assert theirs.scores is not None
        return theirs.scores(row[user])[:, torch.from_numpy(rival.catalogue.items.vocab.rows(items.ids))]

    return Lister(lists, scores)
