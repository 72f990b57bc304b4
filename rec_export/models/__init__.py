"""The models. The folder is the registry: a file with a final `Spec(ModelSpec)` in it is a model of the file's name."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from rec_export.errors import UsageError, nearest
from rec_export.towers import ModelSpec


def names() -> list[str]:
    """The models that are known."""
    return sorted(module.name for module in iter_modules(__path__))


def spec_class(name: str) -> type[ModelSpec]:
    """The Spec of a model. Raises UsageError for an unknown name."""
    if name not in names():
        raise UsageError(f"unknown model {name!r}{nearest(name, names())}")
    spec: type[ModelSpec] = import_module(f"{__name__}.{name}").Spec
    return spec


def spec_of(fields: dict[str, Any], where: str) -> ModelSpec:
    """The spec that `{"name": ..., numbers}` describes; `where` names the place for messages."""
    numbers = dict(fields)
    name = numbers.pop("name", None)
    if not isinstance(name, str):
        raise UsageError(f"{where}: the key 'model.name' is missing; known: {', '.join(names())}")
    return spec_class(name).of(numbers, f"{where}, model {name}")
