"""Judge a checkpoint on held-out rows: full ranking, beside popularity and random lists, warm and cold users apart."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self, final

import numpy as np
import torch
from pydantic import Field

from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Checkpoint
from rec_export.data.columns import Bool, Int64
from rec_export.data.config import Interactions
from rec_export.data.log import Events, make_log, read_events, select
from rec_export.data.read import fingerprint
from rec_export.data.source import Source
from rec_export.data.split import Part
from rec_export.device import device_of
from rec_export.errors import DataError, UsageError
from rec_export.metrics import Estimate, Targets, coverage, estimates, hits, per_user
from rec_export.progress import track
from rec_export.record import Record
from rec_export.scorer import Model, Scorer, chunks
from rec_export.topk import Ranker
from rec_export.towers import DotHead
from rec_export.world import Timeline

Lister = Callable[[Int64, int], Int64]  # users [B], k -> item rows [B, k]


@final
class EvaluateJob(Record):
    """What to judge, and on what."""

    checkpoint: Path
    test: Path | None = None  # None: the test part of the checkpoint's own split
    k: tuple[int, ...] = Field(min_length=1)
    device: str
    bootstrap: int = Field(ge=0)


@final
class Segment(Record):
    """Users of one kind, and how well a lister served them."""

    users: int
    metrics: dict[str, Estimate]
    coverage: dict[str, float]


@final
class Evaluation(Record):
    """By lister ("model", "popular", "recent", "random") and then by segment ("all", "warm", "cold")."""

    model: str
    test_rows: int
    items: int
    k: tuple[int, ...]
    results: dict[str, dict[str, Segment]]


class HeldOut(NamedTuple):
    """The world before the held-out rows, and what came next."""

    catalogue: Catalogue
    timeline: Timeline
    user: Int64  # [U] the users that are judged
    warm: Bool  # [U] whether they had any row before
    targets: Targets
    width: int  # item rows of the targets lie below it, those of items that are not in the catalogue among them

    @classmethod
    def of(cls, checkpoint: Checkpoint, known: Events, test: Events) -> Self:
        """From the rows that are known and the ones that are held out; a pair that is known already is no target."""
        users = checkpoint.catalogue.users.grown(known.user_id, None).grown(test.user_id, None)
        items = checkpoint.catalogue.items.grown(known.item_id, None)
        catalogue = Catalogue(users, items)
        log = make_log(known, users.vocab, items.vocab)
        timeline = Timeline.of(log, users.table.num_rows, items.table.num_rows)
        liked = make_log(select(test, test.positive), users.vocab, items.vocab.plus(test.item_id))
        width = items.table.num_rows + len(test.item_id)
        key = np.setdiff1d(liked.user_row * width + liked.item_row, log.user_row * width + log.item_row)
        user = np.unique(key // width)
        if len(user) == 0:
            raise DataError("no held-out row is a liking that is new to its user; there is nothing to judge by")
        warm = np.diff(timeline.seen_start)[user] > 0
        targets = Targets(np.searchsorted(user, key // width), key % width)
        return cls(catalogue, timeline, user, warm, targets, width)


def run(job: EvaluateJob) -> Evaluation:
    """Score the judged users by the model and by the baselines."""
    device = device_of(job.device)
    checkpoint = Checkpoint.read(job.checkpoint)
    held_out = HeldOut.of(checkpoint, *known_and_test(checkpoint, job.test))
    world = held_out.timeline.as_of(None, checkpoint.blueprint.clock)
    scorer = Scorer(Model.of_checkpoint(checkpoint, device), held_out.catalogue, world)
    return Evaluation(
        model=checkpoint.blueprint.model["name"],
        test_rows=len(held_out.targets.user),
        items=len(scorer.items),
        k=job.k,
        results={name: judged(lister, held_out, job, name) for name, lister in listers(scorer).items()},
    )


def known_and_test(checkpoint: Checkpoint, test: Path | None) -> tuple[Events, Events]:
    """The rows before, and the held-out rows: a file, or the test part of the split."""
    data, learned = checkpoint.blueprint.data, checkpoint.blueprint.inputs["interactions"]
    path = data.interactions.path
    if fingerprint(path) != learned and not (test is not None and data.split.by == "none"):
        raise DataError(
            f"{path} has changed since the checkpoint was trained, so its split would hold out other rows;"
            " restore it, or train again"
        )
    source = Source.read(data)
    if test is not None:
        columns: Interactions = data.interactions.model_copy(update={"path": test})
        return select(source.events, source.rows(Part.TRAIN, Part.VALID)), read_events(columns)
    rows = source.rows(Part.TEST)
    if not rows.any():
        raise UsageError(
            "the checkpoint's split (data.split) holds out no test rows; name a file of later rows with --test,"
            " or train with --set data.split.by=time (or random)"
        )
    return select(source.events, source.rows(Part.TRAIN, Part.VALID)), select(source.events, rows)


def listers(scorer: Scorer) -> dict[str, Lister]:
    """The model (with the popular items for users it knows nothing of, as `score` does) and what it must beat."""
    trend = torch.from_numpy(scorer.world.trend())
    counts = len(scorer.world.clock.half_lives)
    rng = np.random.default_rng(0)

    def model(user: Int64, k: int) -> Int64:
        return scorer.best(user, k, keep_seen=False).item_row

    def by_column(column: int) -> Lister:
        ranker = Ranker(DotHead(), trend[:, column].unsqueeze(1), device=torch.device("cpu"))
        return lambda user, k: ranker.top_k(torch.ones(len(user), 1), k, scorer.seen(user, False)).item_row

    def random(user: Int64, k: int) -> Int64:
        key = torch.from_numpy(rng.random((len(user), len(scorer.items))).astype(np.float32))
        seen = scorer.seen(user, False)
        key[np.repeat(np.arange(len(user)), np.diff(seen.start)), seen.item_row] = -1
        return torch.topk(key, min(k, key.shape[1])).indices.numpy()

    recent = {"recent": by_column(scorer.model.blueprint.recent)} if counts else {}
    return {"model": model, "popular": by_column(counts), **recent, "random": random}


def judged(lister: Lister, held_out: HeldOut, job: EvaluateJob, name: str) -> dict[str, Segment]:
    """The metrics of one lister in each segment."""
    portions = list(chunks(held_out.user, 512))
    lists = np.concatenate([lister(user, max(job.k)) for user in track(portions, len(portions), name)])
    items = held_out.timeline.items
    hit = hits(lists, held_out.targets, held_out.width)
    count = held_out.targets.counts(len(held_out.user))
    values = {f"{metric}@{k}": value for k in job.k for metric, value in per_user(hit, count, k).items()}
    segments = {"all": np.ones(len(held_out.user), bool), "warm": held_out.warm, "cold": ~held_out.warm}
    return {
        segment: Segment(
            users=int(members.sum()),
            metrics=estimates({metric: value[members] for metric, value in values.items()}, job.bootstrap),
            coverage={f"coverage@{k}": coverage(lists[members], k, items) for k in job.k},
        )
        for segment, members in segments.items()
    }
