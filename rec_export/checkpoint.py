"""checkpoint/: a trained model and all that is needed to use it, as `rec-export train` leaves it."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, final

import torch
from pydantic import BeforeValidator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from rec_export.catalogue import Catalogue
from rec_export.config import Loss, Scoring, Target
from rec_export.data.clock import Clock
from rec_export.data.columns import Float32
from rec_export.data.config import DataConfig
from rec_export.ensemble import Away, Linear, Timeless, ensemble, without_time
from rec_export.errors import MissingInputError, ModelError, UsageError
from rec_export.files import sha256
from rec_export.habit import Habit
from rec_export.models import spec_of
from rec_export.progress import in_parts, passed
from rec_export.record import Record
from rec_export.run_manifest import is_run
from rec_export.shallow import Shallow
from rec_export.towers import Head, ModelSpec, Sizes, Towers
from rec_export.words import several

FORMAT = 1
TREND = "trend.safetensors"


@final
class Blueprint(Record):
    """spec.json: the numbers from which the towers are built, and how the data was read."""

    format: int = FORMAT
    model: dict[str, Any]
    members: int = 1  # models of this spec, whose scores are averaged
    timeless: float = 0.0  # the share of one more, which looks at no time; 0: there is none
    away: Away | None = None  # who hears more of that one
    shallow: Annotated[tuple[Shallow, ...], BeforeValidator(several)] = ()  # tables of items beside these
    sizes: Sizes
    data: DataConfig
    clock: Clock
    loss: Loss = "softmax"
    target: Target = "value"  # what a score predicts where the loss is mse
    recent: int  # the trend column that told the future best: the popularity list of users without anything
    habit: Habit | None = None  # added to the scores of what a user liked before, in lists that may hold it again
    score: Scoring  # how lists are made where nothing else is said
    inputs: dict[str, str]  # sha256 of the files that were learned from
    weights: str  # sha256 of weights.safetensors
    tables: dict[str, str]  # sha256 of the files of users, items and features

    @property
    def rated(self) -> bool:
        """Whether a score predicts the value of a row, so that all rows were lessons."""
        return self.loss == "mse"

    def spec(self) -> ModelSpec:
        """The model's spec."""
        return spec_of(self.model, "spec.json")

    def build(self) -> Towers:
        """The towers, with random weights."""
        spec, timeless = self.spec(), None
        members = [spec.build(self.sizes) for _ in range(self.members)]
        if self.timeless:
            timeless = Timeless(spec.build(without_time(self.sizes)), self.timeless, self.away, self.sizes)
        linears = [Linear(shallow.build(self.sizes.items.rows), shallow) for shallow in self.shallow]
        return ensemble(members, timeless, linears)

    def head(self) -> Head:
        """The pair head, with random weights: it does not depend on the rows of the tables, which may be many."""
        none = {"users": self.sizes.users.without_rows(), "items": self.sizes.items.without_rows()}
        return self.spec().build(self.sizes.model_copy(update=none)).pair_head


@final
class Checkpoint(NamedTuple):
    """A checkpoint in memory; the towers are in eval mode, float32, on the CPU."""

    blueprint: Blueprint
    towers: Towers
    catalogue: Catalogue
    trend: Float32  # [N, W] of every item of the catalogue, just after the last row that was learned from

    @classmethod
    @in_parts("reading the checkpoint", 4)
    def read(cls, folder: Path) -> Self:
        """Read a checkpoint. Raises MissingInputError or ModelError when it is not whole."""
        if (folder / "manifest.json").is_file() and not (folder / "spec.json").exists():
            if is_run(folder / "manifest.json"):
                raise UsageError(f"{folder} is a run that the gates refused; name the checkpoint that it came from")
            raise UsageError(f"{folder} is a bundle; name the checkpoint that it was exported from")
        inner = folder / "checkpoint"  # where `run` puts it
        if not (folder / "spec.json").exists() and (inner / "spec.json").is_file():
            raise MissingInputError(f"{folder} is no checkpoint; did you mean {str(inner)!r}?")
        blueprint = Blueprint.read_format(folder / "spec.json", FORMAT, "train again")
        towers = blueprint.build()
        passed()
        read_weights(towers, folder / "weights.safetensors", blueprint.weights)
        passed()
        for name, digest in blueprint.tables.items():
            check_file(folder / name, digest)
        passed()
        sizes = blueprint.sizes
        catalogue = Catalogue.read(folder, sizes.users.rows, sizes.items.rows)
        return cls(blueprint, towers, catalogue, read_trend(folder))


def modules(towers: Towers) -> nn.ModuleDict:
    """The three parts under one roof, so that their weights have one name each."""
    return nn.ModuleDict(towers._asdict())


def write_weights(towers: Towers, path: Path) -> str:
    """Write all weights and buffers; their sha256."""
    save_file({name: value.contiguous() for name, value in modules(towers).state_dict().items()}, path)
    return sha256(path)


def write_trend(trend: Float32, folder: Path) -> None:
    """Write the trends of all items, float32 [N, W]."""
    save_file({"trend": torch.from_numpy(trend)}, folder / TREND)


def read_trend(folder: Path) -> Float32:
    """Read what `write_trend` wrote. Raises MissingInputError or ModelError."""
    path = folder / TREND
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; an older version trained this checkpoint, train again")
    try:
        trend: Float32 = load_file(path)["trend"].numpy()
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{path} is damaged; train again or restore it") from error
    return trend


def check_file(path: Path, digest: str) -> None:
    """Raise MissingInputError or ModelError unless the file is the one that was written."""
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; the checkpoint is not whole, train again")
    if sha256(path) != digest:
        raise ModelError(f"{path} is not the file that was written (its sha256 differs); train again or restore it")


def read_weights(towers: Towers, path: Path, digest: str) -> None:
    """Put the weights in `path`, whose sha256 must be `digest`, into the towers, and set these to eval mode."""
    check_file(path, digest)
    try:
        weights = load_file(path)
        modules(towers).load_state_dict(weights)
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit the model in spec.json: {str(error).splitlines()[0]}") from error
    broken = [name for name, value in weights.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise ModelError(
            f"{len(broken)} tensors in {path} hold values that are not finite, the first being {broken[0]!r}"
        )
    modules(towers).eval()
