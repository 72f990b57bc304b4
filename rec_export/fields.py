"""The keys of a YAML file as they stand, and with changes from the command line; what they mean is not asked here."""

from pathlib import Path
from typing import Any

import yaml

from rec_export import strict_yaml
from rec_export.errors import MissingInputError, UsageError
from rec_export.files import absent

WHOLE = "it needs at least data.interactions.path: `rec-export init LOG` writes it"


def read_fields(path: Path, needs: str = WHOLE) -> dict[str, Any]:
    """What a YAML file says, as it stands; a file without keys is told what it `needs`."""
    try:
        fields = strict_yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise absent(path, "name a YAML file") from error
    except NotADirectoryError as error:
        raise MissingInputError(f"{path} does not exist; name a YAML file") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder; name a YAML file in it") from error
    except strict_yaml.SlipError as error:
        raise UsageError(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not YAML: it is no UTF-8 text; `rec-export init LOG` writes a YAML file"
        ) from error
    except yaml.YAMLError as error:
        if "character '\\t'" in str(error) and isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            line = error.problem_mark.line + 1
            raise UsageError(f"line {line} of {path} has a tab where YAML wants blanks; indent by blanks") from error
        raise UsageError(f"{path} is not YAML: {strict_yaml.told(error)}") from error
    if not isinstance(fields, dict):
        raise UsageError(f"{path} holds no keys; {needs}")
    return fields


def changed(fields: dict[str, Any], change: str) -> dict[str, Any]:
    """The fields with one `a.b=value`; the value is read as YAML."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise UsageError(f"--set is {change!r}, but should be like model.dim=128")
    head, _, rest = key.partition(".")
    inner = fields.get(head)
    if rest:
        if inner is not None and not isinstance(inner, dict):
            raise UsageError(f"--set asks for {rest!r} in {head!r}, which is {inner!r} and holds no keys")
        return {**fields, head: changed(inner or {}, f"{rest}={value}")}
    try:
        return {**fields, head: strict_yaml.load(value)}
    except strict_yaml.SlipError as error:
        raise UsageError(f"the value of --set {change}: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"the value {value!r} of --set is not YAML; put it into quotes") from error
