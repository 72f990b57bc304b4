"""Smaller copies of the ONNX towers with their price, and which of them a bundle keeps."""

import math
import re
from pathlib import Path
from typing import Literal, NamedTuple, Self, cast, final

from pydantic import Field

from exporters.agreement import TriedTowers, agreement, broken_promise
from exporters.candidate import HEAD
from exporters.fresh import RefusalError, outputs_of
from exporters.onnx import file_fault
from exporters.parity import Trial
from exporters.quality import Judge, latencies
from exporters.smaller import LABEL, write_smaller
from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Checkpoint
from rec_export.choices import Lossy
from rec_export.data.columns import Float32
from rec_export.errors import DataError, MissingInputError, ParityError, UsageError, nearest
from rec_export.held_out import HeldOut, known_and_test
from rec_export.record import Record
from rec_export.runtime import FILES, SMALLER
from rec_export.towers import Head
from rec_export.variant import K, Variant
from rec_export.words import counted

TOWERS = "user_tower", "item_tower"
METRICS = "ndcg", "hr", "recall", "mrr"
BUDGET = re.compile(rf"(?P<metric>[a-z]+)(@{K})?=(?P<percent>[0-9]*\.?[0-9]+)%")
LEAST_USERS = 100  # with held-out likings: fewer tell little of a per cent
UNSEEN = 3.0  # cases among n of which none was seen, at most, in 19 of 20
PRICES = "parity/variants.json"


@final
class Budget(Record):
    """The most that a metric on held-out rows may fall, as a share of what the exact towers reach."""

    metric: Literal["ndcg", "hr", "recall", "mrr"]
    most: float = Field(gt=0, lt=1)

    @classmethod
    def parsed(cls, text: str) -> Self:
        """From "ndcg=1%"."""
        match = BUDGET.fullmatch(text)
        if not match:
            raise UsageError(f"--budget is {text!r}, but should be like ndcg=1%")
        if match["metric"] not in METRICS:
            raise UsageError(f"--budget: {match['metric']!r} is no metric{nearest(match['metric'], METRICS)}")
        return cls.of({"metric": match["metric"], "most": float(match["percent"]) / 100}, "--budget")


@final
class Wanted(Record):
    """Which copies to try, and what they may cost; without a budget all of them are kept."""

    kinds: tuple[Lossy, ...] = tuple(SMALLER)
    budget: Budget | None = None
    test: Path | None = None  # held-out rows; None: the test part of the checkpoint's own split


@final
class Tried(Record):
    """A copy that was made: its price, or why it is none."""

    kind: Lossy
    variant: Variant | None
    fault: str | None


@final
class Prices(Record):
    """parity/variants.json: what was tried, and what was kept."""

    budget: Budget | None
    not_held_out: str | None  # why there are no metrics
    tried: tuple[Tried, ...]
    kept: tuple[Lossy, ...]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What the bundle keeps."""
        return tuple(one.variant for one in self.tried if one.variant is not None and one.kind in self.kept)

    def lines(self) -> list[str]:
        """What a person wants to see of it."""
        said = [line(one, one.kind in self.kept) for one in self.tried]
        if self.not_held_out is not None:
            said.append(f"     no metrics, as nothing is held out: {self.not_held_out}")
        if self.budget is not None and not self.kept:
            percent = f"{self.budget.most:.2%} of {self.budget.metric}@{K}"
            said.append(f"     nothing is smaller for at most {percent}; the bundle holds the exact towers alone")
        return said


def wanted(kinds: str | None, budget: str | None, test: Path | None) -> Wanted | None:
    """What the options --variants, --budget and --test ask for; None where they ask for nothing. Raises UsageError."""
    if kinds is None and budget is None:
        if test is not None:
            raise UsageError("--test is for --variants and --budget; name one of them too")
        return None
    chosen: dict[str, Lossy] = {kind.removeprefix("onnx-"): kind for kind in SMALLER}
    names = list(chosen) if kinds is None else kinds.split(",")
    for name in names:
        if name not in chosen:
            raise UsageError(f"--variants: {name!r} is no kind{nearest(name, chosen)}")
    known = tuple(chosen[name] for name in dict.fromkeys(names))
    return Wanted(kinds=known, budget=None if budget is None else Budget.parsed(budget), test=test)


NO_SMALLER = "it is no smaller than the exact towers"


class Bench(NamedTuple):
    """What copies are measured with."""

    folder: Path
    listed: TriedTowers
    judge: Judge | None
    catalogue: Catalogue
    history: int
    labels: dict[str, str]


def prices(bench: Bench, wanted: Wanted, not_held_out: str | None) -> Prices:
    """Make the copies that are wanted, measure them, and remove those that are not kept.

    Raises ParityError where a copy that must be kept computes something else.
    """
    if wanted.budget is not None and bench.judge is not None:
        refuse_few(bench.judge.users_with_hits(), wanted.budget)
    tried = tuple(attempt(bench, kind) for kind in wanted.kinds)
    if wanted.budget is None:
        for one in tried:
            if one.fault not in (None, NO_SMALLER):
                raise RefusalError(one.kind, str(one.fault))
        kept = tuple(one.kind for one in tried if one.fault is None)
    else:
        kept = cheapest(tried, wanted.budget)
    for kind in wanted.kinds:
        for part in TOWERS if kind not in kept else ():
            for path in (bench.folder / "onnx").glob(f"{Path(SMALLER[kind].format(part)).name}*"):
                path.unlink()
    return Prices(budget=wanted.budget, not_held_out=not_held_out, tried=tried, kept=kept)


def refuse_few(hits: int, budget: Budget) -> None:
    """Raise UsageError where so few users have a hit that a larger loss than the budget might show in none of them.

    Of n cases without a loss the truth may be up to 3 / n, in 19 of 20 (Hanley and Lippman-Hand 1983, If Nothing Goes
    Wrong, Is Everything All Right?); an interval of draws from such cases would be [0, 0].
    """
    least = math.ceil(UNSEEN / budget.most)
    if hits < least:
        raise UsageError(
            f"a hit is in the exact lists of {hits:,} users, and a loss of {budget.most:.2%} can be told from {least:,}"
            " on; name more rows with --test, or ask for a larger budget, or for --variants without one"
        )


def held_out_of(checkpoint: Checkpoint, wanted: Wanted) -> HeldOut | str:
    """The rows that copies are judged on, or why there are none. A budget cannot do without: raises UsageError."""
    try:
        held_out = HeldOut.of(checkpoint, *known_and_test(checkpoint, wanted.test))
    except (UsageError, DataError, MissingInputError) as error:
        if wanted.budget is not None or wanted.test is not None:
            raise
        return str(error).partition(";")[0]
    if wanted.budget is not None and len(held_out.user) < LEAST_USERS:
        raise UsageError(
            f"only {len(held_out.user)} users have held-out likings, and a budget needs {LEAST_USERS}; name more rows"
            " with --test, or ask for --variants without a budget"
        )
    return held_out


def attempt(bench: Bench, kind: Lossy) -> Tried:
    """Make one copy and measure it, the cheapest measurements first."""
    for part in TOWERS:
        lost = write_smaller(bench.folder, part, kind)
        if lost is not None:
            return Tried(kind=kind, variant=None, fault=lost)
    smaller, exact = (size(bench.folder, name) for name in (SMALLER[kind], FILES["onnx"]))
    if smaller >= exact:
        return Tried(kind=kind, variant=None, fault=NO_SMALLER)
    agreed, fault = agreement(bench.listed, kind, run(bench, kind))
    if fault is not None:
        return Tried(kind=kind, variant=None, fault=fault)
    variant = Variant(
        name=kind, bytes=smaller, exact_bytes=exact, agreement=agreed,
        quality=bench.judge and bench.judge.quality(bench.folder, kind),
        latency=latencies(bench.folder, bench.listed.towers, bench.catalogue, bench.history, kind),
    )  # fmt: skip
    return Tried(kind=kind, variant=variant, fault=None)


def run(bench: Bench, kind: Lossy) -> dict[str, Float32]:
    """What a copy gives for every case, from disk and in a process of its own. Raises ParityError."""
    for part in bench.listed.towers:
        labels = bench.labels | {LABEL: kind}
        fault = file_fault(bench.folder / SMALLER[kind].format(part.name), (*part.inputs, part.output), labels)
        if fault:
            raise RefusalError(f"{kind}/{part.name}", fault)
    return outputs_of(bench.folder, kind, bench.listed.cases)


def cheapest(tried: tuple[Tried, ...], budget: Budget) -> tuple[Lossy, ...]:
    """The smallest copy whose whole interval of changes is within the budget; none where none is."""
    within = [one.variant for one in tried if one.variant and one.variant.quality
              and -one.variant.quality.metrics[f"{budget.metric}@{K}"].low <= budget.most]  # fmt: skip
    return tuple(variant.name for variant in sorted(within, key=lambda variant: variant.bytes)[:1])


def again(bench: Bench, promised: tuple[Variant, ...]) -> list[str]:
    """Hold the copies of a bundle against what their reports promised; lines that say so. Raises ParityError."""
    said = []
    for variant in promised:
        found, fault = agreement(bench.listed, variant.name, run(bench, variant.name))
        fault = fault or broken_promise(variant.agreement, found)
        if fault:
            raise ParityError(f"{variant.name} is not what its report promised: {fault}; export the checkpoint again")
        measured = variant.model_copy(update={"agreement": found})
        said.append(line(Tried(kind=variant.name, variant=measured, fault=None), kept=True))
    return said


def listed_of(trials: tuple[Trial, Trial, Trial], catalogue: Catalogue, trend: Float32, history: int) -> TriedTowers:
    """What copies are held against, from what was tried on the exact parts."""
    cases = {trial.part.name: trial.cases for trial in trials if trial.part.name != HEAD}
    return TriedTowers.of(
        (trials[0].part, trials[1].part), cast(Head, trials[2].part.module), cases, catalogue, trend, history
    )


def size(folder: Path, name: str) -> int:
    """The bytes of both towers, whose files have such names, with the weights beside them."""
    return sum(path.stat().st_size for part in TOWERS for path in folder.glob(f"{name.format(part)}*"))


def line(tried: Tried, kept: bool) -> str:
    """One copy on one line."""
    if tried.variant is None:
        return f"[no] {tried.kind:<22} {tried.fault}"
    variant = tried.variant
    compared = variant.quality or variant.agreement
    whose = "made-up" if variant.quality is None else "held-out"
    said = f"{variant.bytes / variant.exact_bytes:.0%} of the bytes, {compared.overlap:.2%} of the best {K} the same"
    said += f" for {counted(compared.users, f'{whose} user')}"
    if variant.quality is not None:
        found = variant.quality.metrics
        said += "".join(f", {name} {found[name].change:+.2%}" for name in (f"ndcg@{K}", f"hr@{K}"))
    return f"[ok] {variant.name:<22} {said}{'' if kept else '; not kept'}"
