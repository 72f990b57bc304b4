"""What a smaller copy of the towers costs on held-out rows, and how long it takes; beside the exact ONNX towers."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self, final

import numpy as np
import torch

from exporters.agreement import overlap
from exporters.cases import Source
from exporters.parts import Part
from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Checkpoint
from rec_export.choices import Engine, Lossy
from rec_export.data.columns import Int64
from rec_export.held_out import HeldOut
from rec_export.metrics import Float64, estimates, hits, per_user
from rec_export.runtime import load_tower
from rec_export.scorer import Model, Scorer, chunks
from rec_export.variant import Change, K, Latency, Quality

CPU = torch.device("cpu")
BATCHES = 1, 4096
ROUNDS = 5
ROUND = 0.02  # seconds for which a call is repeated
DRAWS = 1000
AT_ONCE = 512  # users


@final
class Judge(NamedTuple):
    """The held-out rows of a checkpoint, and the lists of its exact ONNX towers."""

    checkpoint: Checkpoint
    held_out: HeldOut
    exact: Int64  # [U, K]

    @classmethod
    def of(cls, checkpoint: Checkpoint, held_out: HeldOut, folder: Path) -> Self:
        """With the exact ONNX towers in a folder."""
        return cls(checkpoint, held_out, lists(checkpoint, held_out, folder, "onnx"))

    def users_with_hits(self) -> int:
        """Whose exact lists hold something that was liked next: all others' metrics are 0, and cannot get worse."""
        return int(self.metrics(self.exact)["hr"].sum())

    def quality(self, folder: Path, kind: Lossy) -> Quality:
        """What a smaller copy costs."""
        found = lists(self.checkpoint, self.held_out, folder, kind)
        exact, variant = (self.metrics(lists) for lists in (self.exact, found))
        return Quality(
            users=len(found),
            overlap=overlap(self.exact, found),
            first_changed=float((self.exact[:, 0] != found[:, 0]).mean()),
            metrics={f"{name}@{K}": change(exact[name], variant[name]) for name in exact},
        )

    def metrics(self, found: Int64) -> dict[str, Float64]:
        """Each metric of each user."""
        hit = hits(found, self.held_out.targets, self.held_out.width)
        return per_user(hit, self.held_out.targets.counts(len(found)), K)


def lists(checkpoint: Checkpoint, held_out: HeldOut, folder: Path, runtime: Engine) -> Int64:
    """What exported towers and the exact engine recommend to the judged users, int64 [U, K]."""
    blueprint = checkpoint.blueprint
    spec, sizes = blueprint.spec(), blueprint.sizes
    towers = [load_tower(folder, part, runtime, CPU) for part in ("user_tower", "item_tower")]
    ports = spec.user_inputs(sizes), spec.item_inputs(sizes)
    model = Model(towers[0], towers[1], checkpoint.towers.pair_head, *ports, blueprint, CPU)
    scorer = Scorer(model, held_out.catalogue, held_out.timeline.as_of(None, blueprint.clock))
    best = (scorer.best(user, K, held_out.again) for user in chunks(held_out.user, AT_ONCE))
    return np.concatenate([listed.top.item_row for listed in best])


def change(exact: Float64, variant: Float64) -> Change:
    """The means of a metric over users, float64 [U] each, and the change with its paired interval."""
    mean = float(exact.mean())
    found = estimates({"change": (variant - exact) / (mean or 1.0)}, DRAWS)["change"]
    means = {"exact": round(mean, 5), "variant": round(float(variant.mean()), 5)}
    return Change(**means, change=found.mean, low=found.low, high=found.high)


def latencies(folder: Path, towers: tuple[Part, Part], catalogue: Catalogue, history: int, kind: Lossy) \
        -> tuple[Latency, ...]:  # fmt: skip
    """Each tower beside its exact one, at each size of a batch."""
    found = []
    for part, side in zip(towers, catalogue, strict=True):
        source = Source(part.inputs, side, catalogue.items.trained, history)
        exact, smaller = (load_tower(folder, part.name, runtime, CPU) for runtime in ("onnx", kind))
        for size in BATCHES:
            inputs = {name: torch.from_numpy(array) for name, array in source.batch(size).items()}
            seconds = least_seconds([partial(exact, inputs), partial(smaller, inputs)])
            found.append(Latency(part=part.name, batch=size, exact=seconds[0], variant=seconds[1]))
    return tuple(found)


def least_seconds(calls: list[Callable[[], object]]) -> list[float]:
    """The least seconds of each call; they take turns, so that a busy moment of the machine hits all of them."""
    repeats = max(1, round(ROUND / max(min(timed(call, 1) for _ in range(2)) for call in calls)))
    rounds = [[timed(call, repeats) for call in calls] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def timed(call: Callable[[], object], repeats: int) -> float:
    """Seconds of one of so many calls."""
    begun = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begun) / repeats
