"""Which keys of the section `training` a model looks at: gradients heed all, and solvers of their own few."""

import logging

from rec_export.config import Training
from rec_export.towers import ModelSpec
from rec_export.words import are

log = logging.getLogger("rec_export")
OF_GRADIENTS = {
    *("batch", "decay", "embedding_decay", "row_wise", "shard", "loss", "candidates", "negatives", "logq", "schedule"),
    *("precision", "compile", "clip", "id_dropout"),
}
OF_PAIRS = {"lr", "reject", "recency", "by_value"}
HEEDED = {"als": {"by_value"}, "bpr": OF_PAIRS, "popular": set[str]()}  # of these, by solver


def unheeded(spec: ModelSpec) -> set[str]:
    """The keys that change nothing about a model."""
    return (OF_GRADIENTS | OF_PAIRS) - HEEDED[spec.trainer] if spec.trainer in HEEDED else set()


def say_unheeded(training: Training, spec: ModelSpec) -> None:
    """Warn of what is given that the model's solver does not look at."""
    unread, usual = unheeded(spec), Training()
    given = [key for key in Training.model_fields if key in unread and getattr(training, key) != getattr(usual, key)]
    if given:
        keys = ", ".join(f"training.{key}" for key in given)
        log.warning("%s of the configuration %s not looked at by the model's own solver", keys, are(given))
