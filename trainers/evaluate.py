"""Judge a checkpoint on held-out rows: full ranking, beside popularity and random lists, in segments of users.

With `out`, a new directory keeps what was found: evaluation.json; by_user.parquet, every user's metrics; for `report`
lists.json, the shape of the lists, and of a model that predicts values predictions.json, how its predictions err.
"""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NamedTuple, Self, final

import pyarrow.parquet as pq
from pydantic import Field

from rec_export.checkpoint import Checkpoint
from rec_export.choices import MOST_K, SeenRule
from rec_export.config import Config
from rec_export.data.log import Events
from rec_export.device import device_of
from rec_export.errors import UsageError
from rec_export.files import new_directory, refuse_existing
from rec_export.held_out import HeldOut, known_and_test, whole_log
from rec_export.logs import warnings_heard
from rec_export.machine import usual_torch
from rec_export.metrics import Estimate, coverage, estimates
from rec_export.progress import in_parts, passed, track
from rec_export.record import Record
from rec_export.scorer import Scorer
from rec_export.tracking import Tracking
from trainers.foreign import foreign, refuse_informed
from trainers.habits import by_habit, habits
from trainers.judged import Judged, judge, shapes, user_table
from trainers.listers import Lister, listers, scorer_of
from trainers.prediction_analysis import analysed
from trainers.ratings import HeldOutValues, RatingEvaluation, judged_values
from trainers.rivals import opponent, rival_of
from trainers.sampled import sampled_metrics
from trainers.tracking import Tracker, tracked

log = logging.getLogger("rec_export")


@final
class EvaluateJob(Record):
    """What to judge, and on what."""

    checkpoint: Path
    against: Path | None = None  # another checkpoint, or somebody's lists, judged on the same users
    test: Path | None = None  # None: the test part of the checkpoint's own split
    k: tuple[Annotated[int, Field(ge=1, le=MOST_K)], ...] = Field(default=(5, 10, 20, 50), min_length=1)
    device: str = "auto"
    bootstrap: int = Field(default=1000, ge=0)
    seen: SeenRule | None = None  # whether what users had met counts too; None: as the checkpoint's score.seen says
    negatives: int | None = Field(default=None, ge=1)  # of the sampled protocol; None: full ranking alone
    out: Path | None = None  # a new directory for what was found
    tracking: Tracking | None = None  # None: as the checkpoint's own configuration has it


@final
class Segment(Record):
    """Users of one kind, and how well a lister served them."""

    users: int
    metrics: dict[str, Estimate]
    coverage: dict[str, float]


@final
class Evaluation(Record):
    """By lister ("model", "against", "habit", "popular", "recent", "random") and then by segment of users."""

    model: str
    weights: str  # sha256, which tells whose evaluation it is
    against: str | None
    test: str | None = None  # the file of the held-out rows; None: the test part of the split
    test_rows: int
    targets: str = ""  # a fingerprint of who was judged by what: evaluations with the same one can be compared
    seen: SeenRule = "exclude"  # keep: what users had met is held out and listed as well
    items: int
    k: tuple[int, ...]
    results: dict[str, dict[str, Segment]]
    paired: dict[str, dict[str, dict[str, Estimate]]]  # the model's metrics minus those of each other lister, by user
    sampled: dict[str, dict[str, float]] | None  # the sampled protocol, for comparison with papers alone
    negatives: int | None = None  # that were drawn for it
    bootstrap: int = 0  # draws for the intervals
    ratings: RatingEvaluation | None  # of a model that predicts values
    warnings: tuple[str, ...] = ()  # of what a reader of the figures must not miss


@usual_torch()
def run(job: EvaluateJob) -> Evaluation:
    """Score the judged users by the model, by another one if asked for, and by the baselines."""
    if job.out is not None:
        refuse_existing(job.out)
    checkpoint = Checkpoint.read(job.checkpoint)
    tracking = job.tracking or usual_tracking(job.checkpoint)
    with tracked(tracking, f"evaluate {job.checkpoint.name}", "evaluate") as tracker:
        result = evaluated(job, checkpoint)
        tell(tracker, job, result)
    return result


def usual_tracking(checkpoint: Path) -> Tracking | None:
    """Where the training told of itself; None where the checkpoint does not say, or nothing here can tell MLflow."""
    path = checkpoint / "config.yaml"
    tracking = Config.load(path).tracking if path.is_file() else None
    if tracking is not None and find_spec("mlflow") is None:
        log.warning("MLflow at %s is told nothing of this, as the package mlflow is not here", tracking.store)
        return None
    return tracking


def tell(tracker: Tracker, job: EvaluateJob, result: Evaluation) -> None:
    """Tell MLflow the means over all users, of the model with their intervals, and the whole as a file."""
    tracker.parameters(job.model_dump(mode="json", exclude={"tracking"}, exclude_none=True))
    tracker.tag("weights", result.weights)
    for lister, segments in result.results.items():
        for metric, found in segments["all"].metrics.items():
            low_high = {f"{metric} low": found.low, f"{metric} high": found.high} if lister == "model" else {}
            figures = {metric: found.mean, **low_high}
            tracker.metrics({f"{lister}/{name}": value for name, value in figures.items()})
    tracker.text(result.as_json(), "evaluation.json")


class Case(NamedTuple):
    """A checkpoint, before the rows that it is judged by."""

    job: EvaluateJob
    checkpoint: Checkpoint
    other: Checkpoint | None  # that it is judged beside
    known: Events
    test: Events
    held_out: HeldOut
    scorer: Scorer

    @classmethod
    def of(cls, job: EvaluateJob, checkpoint: Checkpoint) -> Self:
        """Read what is needed."""
        device = device_of(job.device)
        with in_parts("preparing", 3):
            known, test = known_and_test(checkpoint, job.test)
            passed()
            held_out = HeldOut.of(checkpoint, known, test, job.seen)
            if job.negatives is not None and job.negatives >= held_out.timeline.items:
                items = held_out.timeline.items
                raise UsageError(f"--negatives {job.negatives} is no sample of {items} items; draw fewer")
            passed()
            scorer = scorer_of(checkpoint, held_out, device)
        other = None if job.against is None else opponent(job.against, job.checkpoint, checkpoint)
        return cls(job, checkpoint, other, known, test, held_out, scorer)

    def listers(self) -> dict[str, Lister]:
        """Who recommends: the model, whom it is held against, and the baselines."""
        held_out, who = self.held_out, listers(self.scorer, self.held_out.again)
        beside: dict[str, Lister] = {}
        if self.job.against is not None:
            beside["against"] = self.against(self.job.against)
        if held_out.again:
            own = habits(held_out.timeline, self.scorer.world.trend()[:, self.scorer.model.blueprint.recent])
            beside["habit"] = by_habit(own, who.get("recent", who["popular"]))
        return {"model": who["model"], **beside, **who}

    def against(self, path: Path) -> Lister:
        """The lists of another checkpoint, if it is one, or somebody's."""
        if self.other is not None:
            return rival_of(self.other, self.job.test, self.held_out, self.scorer.model.device)
        whole = whole_log(self.checkpoint, self.job.test)
        refuse_informed(path, self.known, self.test, whole, self.held_out.again)
        return foreign(path, self.held_out, max(self.job.k))

    def values(self) -> RatingEvaluation | None:
        """How well values are predicted, of a model that does so."""
        if not self.checkpoint.blueprint.rated:
            return None
        device = self.scorer.model.device
        return judged_values(self.checkpoint, self.known, self.test, device, self.job.bootstrap, self.other)

    def leave(self, result: Evaluation, judged: dict[str, Judged], out: Path) -> None:
        """Write what was found to a new directory."""
        job, checkpoint = self.job, self.checkpoint
        with new_directory(out) as folder:
            result.write(folder / "evaluation.json")
            pq.write_table(user_table(judged, self.held_out), folder / "by_user.parquet")
            shapes(judged, self.held_out, 10 if 10 in job.k else job.k[0]).write(folder / "lists.json")
            if checkpoint.blueprint.rated:
                values = HeldOutValues.of(checkpoint, self.known, self.test)
                analysed(checkpoint, values, self.scorer.model.device).write(folder / "predictions.json")


def evaluated(job: EvaluateJob, checkpoint: Checkpoint) -> Evaluation:
    """What comes out, written to job.out if asked for."""
    with warnings_heard() as warnings:
        case = Case.of(job, checkpoint)
        held_out, who = case.held_out, case.listers()
    judged = {name: judge(lister, held_out, job.k, name) for name, lister in who.items()}
    others = {name: one for name, one in judged.items() if name != "model"}
    result = Evaluation(
        model=checkpoint.blueprint.model["name"],
        weights=checkpoint.blueprint.weights,
        against=None if job.against is None else str(job.against),
        test=None if job.test is None else str(job.test),
        test_rows=len(held_out.targets.user),
        targets=held_out.told_apart(),
        seen="keep" if held_out.again else "exclude",
        items=len(case.scorer.items),
        k=job.k,
        results={
            name: in_segments(one, held_out, job) for name, one in track(judged.items(), len(judged), "intervals")
        },
        paired={
            name: differences(judged["model"], one, held_out, job)
            for name, one in track(others.items(), len(others), "paired intervals")
        },
        sampled=sampled(who, case.scorer, held_out, job),
        negatives=job.negatives,
        bootstrap=job.bootstrap,
        ratings=case.values(),
        warnings=tuple(warnings),
    )
    if job.out is not None:
        case.leave(result, judged, job.out)
    return result


def sampled(
    who: dict[str, Lister], scorer: Scorer, held_out: HeldOut, job: EvaluateJob
) -> dict[str, dict[str, float]] | None:
    """The metrics of the sampled protocol, where it is asked for, of all that give scores."""
    if job.negatives is None:
        return None
    return {
        name: sampled_metrics(lister, scorer, held_out, job.negatives, job.k, name)
        for name, lister in who.items()
        if lister.scores is not None
    }


def in_segments(judged: Judged, held_out: HeldOut, job: EvaluateJob) -> dict[str, Segment]:
    """How well one lister served users of each kind."""
    items = held_out.timeline.items
    return {
        segment: Segment(
            users=int(members.sum()),
            metrics=estimates({metric: value[members] for metric, value in judged.values.items()}, job.bootstrap),
            coverage={f"coverage@{k}": coverage(judged.lists[members], k, items) for k in job.k},
        )
        for segment, members in held_out.segments().items()
    }


def differences(one: Judged, other: Judged, held_out: HeldOut, job: EvaluateJob) -> dict[str, dict[str, Estimate]]:
    """The mean of each metric's difference over users of each kind, with paired intervals."""
    return {
        segment: estimates({m: one.values[m][members] - other.values[m][members] for m in one.values}, job.bootstrap)
        for segment, members in held_out.segments().items()
    }
