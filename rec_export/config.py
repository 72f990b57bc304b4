"""The configuration: one YAML file, typed, for every command. Unknown keys are errors that name the right one."""

import re
from pathlib import Path
from typing import Any, Literal, Self, final

import yaml
from pydantic import Field, field_validator

from rec_export.choices import MOST_K, Engine, Executor, SeenRule
from rec_export.data.config import DataConfig
from rec_export.errors import UsageError
from rec_export.fields import changed, read_fields
from rec_export.objects import Place
from rec_export.paths import below
from rec_export.record import Record
from rec_export.redact import redacted
from rec_export.rules import Rules
from rec_export.thresholds import Gates
from rec_export.tracking import Tracking

MODEL = "hybrid"
METRIC = r"^((hr|recall|ndcg|mrr)@[1-9][0-9]{0,3}|rmse|mae|r2)$"

Loss = Literal["softmax", "bpr", "bce", "mse"]
Target = Literal["value", "log"]


@final
class Training(Record):
    """How the towers learn. What is not given follows from the log (trainers/plan.py)."""

    epochs: int | None = Field(default=None, ge=1, description="at most so many; early stopping may end before")
    patience: int | None = Field(default=None, ge=1, description="epochs without a better metric before stopping")
    batch: int | None = Field(default=None, ge=2)
    lr: float | None = Field(default=None, gt=0)
    decay: float | None = Field(default=None, ge=0, description="decoupled weight decay of layers and biases")
    embedding_decay: float | None = Field(default=None, ge=0, description="decoupled weight decay of embeddings")
    row_wise: int = Field(
        default=30_000, ge=1, description="tables of so many rows or more: a step moves only the rows it looks up"
    )
    shard: bool = Field(
        default=False, description="of several processes each holds a part of those tables, instead of all of them"
    )
    prior: float | None = Field(
        default=None,
        ge=0,
        description="of mse: how strongly ids are drawn to the mean, in rows; none: as biases alone should be",
    )
    loss: Loss = Field(default="softmax", description="mse: the score predicts the value of a row, a rating or plays")
    target: Target = Field(default="value", description="what mse predicts: the value, or log(1 + value) for counts")
    candidates: int | None = Field(default=None, ge=2, description="items that targets are told from, in each batch")
    negatives: Literal["mixed", "uniform", "popular", "batch"] = Field(
        default="mixed", description="how they are drawn; mixed: half the most popular, half uniform"
    )
    logq: bool = Field(default=True, description="each drawn item stands for as many as its chance says (softmax)")
    reject: bool = Field(default=True, description="what a user was shown as history is no alternative")
    schedule: Literal["constant", "cosine", "step", "plateau"] = Field(
        default="constant", description="of the learning rate; step: half after each third of the epochs"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="of the products while learning; bfloat16 pays on CUDA"
    )
    compile: bool = Field(
        default=False, description="the towers by torch.compile while learning; pays on long runs on CUDA"
    )
    clip: float = Field(default=5.0, gt=0, description="largest norm of all gradients together")
    recency: float | None = Field(
        default=None,
        gt=0,
        description="half-life, in days, of the weight of a snapshot, or of a liking of what reads no histories;"
        " none: all snapshots weigh alike, likings by the log, where time tells something",
    )
    by_value: bool | None = Field(
        default=None,
        description="a liking weighs more with its value, by the logarithm; none: where order means nothing",
    )
    id_dropout: float | None = Field(
        default=None, ge=0, lt=1, description="share of ids hidden, so that new ones can be served"
    )
    seed: int = Field(default=42, ge=0, lt=2**63)
    seeds: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="models, with seeds from `seed` on, whose mean score is exported as one, where it is a dot product",
    )
    timeless: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="weight of a second model, without time, beside hybrid or gated with it; none: .15, or .4 where"
        " most of the newest likings are of users never seen before; four times that for who has been away for half of"
        " the log's time; 0: no such model (docs/limits.md)",
    )
    shallow: bool = Field(
        default=True,
        description="tables of items beside hybrid or gated, by as much as makes held-out likings likeliest, where rows"
        " are held out and the head is a dot product: a shallow auto-encoder (EASE of low rank) and, where time is"
        " looked at, what is liked soon after what",
    )
    device: str = "auto"
    metric: str | None = Field(
        default=None, pattern=METRIC, description="chooses the epoch; ndcg@10, or rmse where the loss is mse"
    )
    refit: bool = Field(default=True, description="train again on training and validation rows, for the best epochs")


MEANS = {"device", "incremental", "executor", "workers", "ray_address"}
"""Keys of the section `score` that say how the lists come about, but change no byte of them."""


@final
class Scoring(Record):
    """How lists are made."""

    k: int = Field(default=100, ge=1, le=MOST_K)
    seen: SeenRule = Field(
        default="exclude",
        description="keep: what a user has met may be listed again; trained so, a model learns what people come back"
        " to (docs/habits.md)",
    )
    device: str = "auto"
    runtime: Engine = Field(
        default="torchscript", description="what runs the towers; the last two are lossy (docs/exports.md)"
    )
    incremental: bool = Field(
        default=False, description="carry over the lists of users for whom nothing has changed since the newest run"
    )
    executor: Executor = Field(
        default="local", description="who makes the parts; shards: other machines did, by --shard-index"
    )
    workers: int | None = Field(
        default=None, ge=1, description="how many, of the executor processes; none: one for each CUDA device"
    )
    ray_address: str | None = Field(
        default=None, description="of a Ray cluster; none: what RAY_ADDRESS says, or one on this machine"
    )
    approximate: bool = Field(
        default=False, description="retrieve and rerank where that is faster; what it misses is measured (docs/topk.md)"
    )


@final
class Retention(Record):
    """What is kept after a night was published. The newest dates always are."""

    dates: int = Field(default=30, ge=2, description="dates below the read root")
    trash_hours: float = Field(
        default=72.0, ge=0, description="of what was replaced; longer than the longest query, and kept for `rollback`"
    )
    failed_hours: float = Field(default=168.0, ge=0, description="of runs that the gates refused")


@final
class Nightly(Record):
    """What `nightly` does beside scoring: with which bundle, where to, and what it must not publish."""

    bundle: Path
    out: Place = Field(description="the read root: a folder, or s3://bucket/prefix")
    staging: Path | None = Field(
        default=None, description="where runs for a bucket are made on this machine; below ~/.cache if not said"
    )
    users: Literal["all", "listed"] = Field(
        default="all", description="whom to score: everybody known, or the users in data.users alone"
    )
    metrics: Path | None = Field(
        default=None, description="a file for Prometheus, such as rec_export.prom in the textfile directory"
    )
    allow_world_writable: bool = Field(
        default=False, description="publish where everybody on the machine may write, as in some containers"
    )
    heartbeat: Path | None = Field(
        default=None, description="a file that is rewritten while the night works, for a watchdog"
    )
    ping: str | None = Field(
        default=None,
        repr=False,
        description="a URL that is told of the start and the end (healthchecks.io and its kin); it is a secret",
    )
    expect_model_sha256: str | None = Field(
        default=None, description="of bundle/manifest.json, which holds the hashes of the rest; another one is refused"
    )
    delta: Path | None = Field(
        default=None, description="a Delta table that holds what is live in the read root (docs/delta.md)"
    )
    gates: Gates = Gates()
    retention: Retention = Retention()

    @field_validator("ping")
    @classmethod
    def on_the_web(cls, ping: str | None) -> str | None:
        """urllib would open files too."""
        if ping is not None and not re.match(r"https?://[^\s/]+\S*$", ping):
            raise ValueError("a URL that begins with http:// or https://")
        return ping

    def relative_to(self, folder: Path) -> Self:
        """With paths from a folder."""
        names = "bundle", "out", "staging", "metrics", "heartbeat", "delta"
        paths = {name: path for name in names if isinstance(path := getattr(self, name), Path)}
        moved = {name: below(folder, path) for name, path in paths.items()}
        return self.model_copy(update={**moved, "gates": self.gates.relative_to(folder)})


@final
class RulesFile(Record):
    """A file for `score --rules`."""

    rules: Rules


@final
class Config(Record):
    """The whole file. Sections that a command does not need are ignored by it."""

    data: DataConfig
    model: dict[str, Any] = Field(default_factory=lambda: {"name": MODEL})
    training: Training = Training()
    score: Scoring = Scoring()
    rules: Rules = Rules()
    nightly: Nightly | None = None
    tracking: Tracking | None = None

    @field_validator("model", mode="before")
    @classmethod
    def named(cls, model: Any) -> Any:
        """Numbers without a name are those of the default model."""
        return {"name": MODEL, **model} if isinstance(model, dict) else model

    @classmethod
    def load(cls, path: Path, changes: tuple[str, ...] = ()) -> Self:
        """Read a file, apply `--set a.b=value` changes, and take its paths from its own folder."""
        fields = read_fields(path)
        for change in changes:
            fields = changed(fields, change)
        config = cls.of(fields, f"{path} with --set" if changes else str(path))
        here = path.parent.resolve()
        nightly = config.nightly and config.nightly.relative_to(here)
        paths = {"data": config.data.relative_to(here), "rules": config.rules.relative_to(here), "nightly": nightly}
        tracking = config.tracking and config.tracking.relative_to(here)
        return config.model_copy(update={**paths, "tracking": tracking})

    @classmethod
    def rules_of(cls, path: Path) -> Rules:
        """The section `rules` of a configuration, or of a file that holds nothing else."""
        fields = read_fields(path, needs="write rules in a section 'rules', or leave --rules out")
        if not {"data", "rules"} & set(fields) and set(fields) & set(Rules.model_fields):
            raise UsageError(
                f"{path}: {', '.join(map(str, fields))} should stand in a section: put `rules:` above, and indent them"
            )
        if set(fields) != {"rules"}:
            return cls.load(path).rules
        return RulesFile.of(fields, str(path)).rules.relative_to(path.parent.resolve())

    @classmethod
    def data_of(cls, path: Path) -> DataConfig | None:
        """The section `data` of a configuration; None of a file that holds nothing but rules."""
        return None if set(read_fields(path)) == {"rules"} else cls.load(path).data

    def dump(self) -> str:
        """The resolved configuration as YAML, without its one secret, and with `***` for those in a gate's command."""
        fields = self.model_dump(mode="json", exclude={"nightly": {"ping"}})
        if self.nightly is not None and self.nightly.gates.command is not None:
            fields["nightly"]["gates"]["command"] = redacted(self.nightly.gates.command)
        return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
