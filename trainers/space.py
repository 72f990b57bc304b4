"""What a search for settings tries: keys, and for each a range of numbers or a list of values."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, final

from rec_export.config import Config
from rec_export.errors import UsageError
from rec_export.models import spec_of
from rec_export.record import Record
from trainers.plan import metric_of

if TYPE_CHECKING:
    from optuna import Trial

SEARCH = re.compile(r"(?P<key>[a-z_.]+)=(?:(?P<low>[^,]+)\.\.(?P<high>[^,]+)|(?P<choices>.+,.+))")
SAME = ("metric", "refit", "seeds", "timeless", "shallow", "device", "seed")
"""Keys of `training` that say how a trial is judged, or what becomes of it later, and not how it learns."""
USUAL = {  # by how a model's weights are found
    "gradient": ("training.lr=0.0005..0.02", "training.embedding_decay=0.03..3.0", "model.dropout=0.1..0.7"),
    "als": ("model.factors=16..256", "model.regularization=0.1..100.0", "model.alpha=1.0..40.0"),
    "bpr": ("training.lr=0.02..0.3", "model.regularization=0.003..0.1", "model.dim=16..256"),
}


@final
class Choice(Record):
    """A key, and the values that are tried: a range of numbers, on a logarithmic scale if wide, or a list."""

    key: str
    low: float | None = None
    high: float | None = None
    whole: bool = False
    values: tuple[str, ...] = ()

    @classmethod
    def parsed(cls, text: str) -> "Choice":
        """From KEY=LOW..HIGH or KEY=A,B,C."""
        match = SEARCH.fullmatch(text)
        if match is None:
            raise UsageError(f"--search is {text!r}, but should be like training.lr=0.001..0.01 or model.dim=32,64,128")
        if match["choices"]:
            return cls(key=match["key"], values=tuple(match["choices"].split(",")))
        try:
            low, high = float(match["low"]), float(match["high"])
        except ValueError as error:
            raise UsageError(f"--search is {text!r}, whose bounds are not numbers") from error
        if not low < high:
            raise UsageError(f"--search is {text!r}, whose lower bound is not below the upper one")
        whole = all(re.fullmatch(r"-?[0-9]+", match[bound]) for bound in ("low", "high"))
        return cls(key=match["key"], low=low, high=high, whole=whole)

    @property
    def ends(self) -> tuple[str, ...]:
        """All values of a list, or the bounds of a range."""
        return self.values or (str(self.low), str(self.high))

    def suggest(self, trial: "Trial") -> str:
        """A change of the configuration."""
        if self.low is None or self.high is None:
            return f"{self.key}={trial.suggest_categorical(self.key, self.values)}"
        wide = self.low > 0 and self.high / self.low >= 10
        if self.whole:
            return f"{self.key}={trial.suggest_int(self.key, int(self.low), int(self.high), log=wide)}"
        return f"{self.key}={trial.suggest_float(self.key, self.low, self.high, log=wide):.4g}"


def usual(path: Path, changes: tuple[str, ...]) -> tuple[Choice, ...]:
    """The usual choices, without those that the model does not have. Raises UsageError where none are left."""
    config = Config.load(path, changes)
    spec = spec_of(config.model, str(path))
    found = tuple(
        choice
        for choice in map(Choice.parsed, USUAL.get(spec.trainer, ()))
        if not choice.key.startswith("model.") or choice.key.partition(".")[2] in type(spec).model_fields
    )
    if not found:
        raise UsageError(f"the model {config.model['name']} has nothing that a search would change; name another")
    return found


def check(choice: Choice, choices: tuple[Choice, ...], path: Path, changes: tuple[str, ...]) -> None:
    """Raise UsageError where the configuration or the model does not take one of the values that are to be tried,
    neither of the model that it names nor of the first one that is searched for.
    """
    model = tuple(f"{one.key}={one.ends[0]}" for one in choices if one.key == "model.name" and one is not choice)
    for value in choice.ends:
        change = f"{choice.key}={value}"
        reason = slip(path, (*changes, change))
        if reason is not None and slip(path, (*changes, *model, change)) is not None:
            raise UsageError(f"--search {change}: {reason}")
        if is_shared(choice.key):
            told = "all trials have it in common; `ablate` compares trainings that differ so"
            raise UsageError(f"--search {choice.key}: {told}")
        if reason is None and judged_by(path, (*changes, change)) != judged_by(path, changes):
            raise UsageError(f"--search {change}: that trial would be judged by other rows or another metric")


def is_shared(key: str) -> bool:
    """Whether a key is one of those that all trials of a search have in common."""
    section, _, name = key.partition(".")
    return key != "data.history" and (section not in ("model", "training") or name in SAME)


def judged_by(path: Path, changes: tuple[str, ...]) -> tuple[str, bool]:
    """What compares trials: the metric, and whether it is of values."""
    training = Config.load(path, changes).training
    return metric_of(training), training.loss == "mse"


def slip(path: Path, changes: tuple[str, ...]) -> str | None:
    """Why the configuration or the model does not take these changes, or None."""
    try:
        config = Config.load(path, changes)
        spec_of(config.model, "the configuration")
        metric_of(config.training)
    except UsageError as error:
        return str(error).removeprefix(f"{path} with --set: ")
    return None
