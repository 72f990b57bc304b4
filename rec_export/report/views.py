"""What the report reads of the files that the other steps leave: no more than it shows, whatever else a file holds.

The core knows no sibling, so these are not the records that trainers, exporters and batch_jobs write; a test holds them
against the real files. What a file of another version lacks is left out.
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rec_export.errors import ModelError
from rec_export.metrics import Estimate
from rec_export.run_manifest import Verdict
from rec_export.sealed import File
from rec_export.words import several

Metrics = dict[str, Estimate]
Shares = dict[str, dict[str, float]]  # by segment and component


class View(BaseModel):
    """A part of a JSON file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises ModelError where it is something else."""
        return cls.of(path.read_bytes(), str(path))

    @classmethod
    def of(cls, text: bytes, where: str) -> Self:
        """Read what a file holds. Raises ModelError where it is something else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise ModelError(
                f"{where} is not what rec-export writes: {field or 'all of it'}: {first['msg']}"
            ) from error


class Spec(View):
    """spec.json of a checkpoint, and `blueprint` of a bundle."""

    model: dict[str, Any]
    weights: str
    loss: str = "softmax"
    timeless: float = 0.0
    shallow: Annotated[tuple[dict[str, Any], ...], BeforeValidator(several)] = ()


class Plan(View):
    """The numbers of a training."""

    metric: str
    epochs: int
    lr: float
    batch: int
    seeds: int = 1
    loss: str = "softmax"


class Outcome(View):
    """metrics.json of a checkpoint."""

    best_epoch: int
    held_out: dict[str, dict[str, float]]
    returning: dict[str, dict[str, float]] = Field(default_factory=dict)
    plan: Plan
    users: int
    items: int
    rows: int
    parameters: int
    seconds: float


class Epoch(View):
    """A line of history.jsonl."""

    phase: str
    epoch: int
    loss: float
    held_out: dict[str, float]
    seconds: float
    gate: Shares = Field(default_factory=dict)
    gate_spread: Shares = Field(default_factory=dict)
    gate_entropy: dict[str, float] = Field(default_factory=dict)


class Served(View):
    """Users of one kind, and how well a lister served them."""

    users: int
    metrics: Metrics
    coverage: dict[str, float] = Field(default_factory=dict)


class Rated(View):
    """Rows of one kind, and how well each predictor told their values."""

    rows: int
    users: int
    metrics: dict[str, Metrics]
    paired: dict[str, Metrics]


class Ratings(View):
    """How well values were predicted, by kind of rows."""

    target: str
    segments: dict[str, Rated]


class Evaluation(View):
    """evaluation.json."""

    model: str
    weights: str
    against: str | None = None
    test: str | None = None
    test_rows: int
    targets: str = ""
    seen: str = "exclude"
    items: int
    k: tuple[int, ...]
    results: dict[str, dict[str, Served]]
    paired: dict[str, dict[str, Metrics]]
    ratings: Ratings | None = None
    warnings: tuple[str, ...] = ()

    def judged_by(self, targets: bool) -> tuple[object, ...]:
        """What must be the same in evaluations that can be compared; `targets`: if all say by what they judged."""
        return self.seen, self.targets if targets else "", self.test_rows, self.results["model"]["all"].users


class Variant(View):
    """A variant of an ablation, over all seeds."""

    changes: tuple[str, ...]
    seeds: dict[str, dict[str, float]]
    metrics: Metrics
    difference: Metrics | None


class Ablation(View):
    """ablation.json."""

    users: int
    k: int
    variants: dict[str, Variant]


class RangeTest(View):
    """range.json."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    batches: tuple[float, ...] = ()
    suggested: float | None
    reason: str = ""


class SearchTrial(View):
    """One trial of a search."""

    number: int
    state: str
    value: float | None
    epochs: int
    changes: tuple[str, ...]


class Search(View):
    """search.json."""

    metric: str
    trials: tuple[SearchTrial, ...]


class PartProof(View):
    """One part in one format."""

    part: str
    format: str
    cases: int
    worst_difference: float
    worst_case: str
    worst_share: float


class ListProof(View):
    """The lists of one format at one k."""

    format: str
    k: int
    users: int
    items: int
    identical: float


class WholeProof(View):
    """The lists of recommender.onnx."""

    cases: int
    lists: int
    identical: float
    worst_difference: float


class Parity(View):
    """parity/report.json."""

    parts: tuple[PartProof, ...]
    lists: tuple[ListProof, ...]
    recommender: WholeProof | None = None

    def proofs(self) -> tuple[PartProof | WholeProof, ...]:
        """What was compared number by number."""
        return (*self.parts, *([self.recommender] if self.recommender else []))

    def identical(self) -> tuple[float, ...]:
        """The shares of lists that were the same to the last place."""
        whole = [self.recommender.identical] if self.recommender else []
        return (*(one.identical for one in self.lists), *whole)


class BundleManifest(View):
    """manifest.json of a bundle."""

    made_at: str
    checkpoint: str  # sha256 of the weights
    blueprint: Spec
    formats: tuple[str, ...]
    stages: dict[str, float] = Field(default_factory=dict)
    files: tuple[File, ...]


class Night(View):
    """report.json of a read root: how the last `nightly` ended."""

    outcome: str
    exit_code: int
    sentence: str
    run_date: str
    run_id: str | None = None
    started_at: str
    seconds: float
    gates: tuple[Verdict, ...] = ()
