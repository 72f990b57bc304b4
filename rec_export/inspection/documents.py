"""JSON that rec-export wrote, read without the classes that need torch."""

import json
from pathlib import Path
from typing import Any

from rec_export.errors import ModelError
from rec_export.files import absent

Facts = dict[str, Any]


def read_json(path: Path) -> Facts:
    """A mapping in a file. Raises MissingInputError or ModelError."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise absent(path, "name a directory that rec-export wrote") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}; restore it or make it again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} does not hold a mapping of keys to values; restore it or make it again")
    return found


def of_format(facts: Facts, path: Path, wanted: int, anew: str) -> Facts:
    """The same facts. Raises ModelError where another version wrote them."""
    if facts.get("format") != wanted:
        raise ModelError(f"{path} has format {facts.get('format')}, this version reads {wanted}; {anew}")
    return facts
