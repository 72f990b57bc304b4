"""Print docs/config.md from the types of the configuration: python -m docs.config_page > docs/config.md"""

import re
import sys
from typing import Any

from pydantic_core import PydanticUndefined

from rec_export.config import Config
from rec_export.models import names, spec_class
from rec_export.record import Record, types_in

HEAD = """# The configuration

Made by `python -m docs.config_page > docs/config.md`. One YAML file for every command; paths are relative
to it. Keys without a default must be given; unknown keys are refused, with the nearest right name.
`train --set a.b=value` changes one key.
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD, *section("", Config, None)]
    for name in names():
        lines += [f"## model: {{name: {name}}}", "", *table(spec_class(name)), ""]
    return "\n".join(lines)


def section(path: str, record: type[Record], description: str | None) -> list[str]:
    """A heading and a table for each record inside `record`."""
    said = f"{description[0].upper()}{description[1:]}. " if description else ""
    lines = [f"## {path}", "", said + (record.__doc__ or "").split("\n")[0], "", *table(record), ""] if path else []
    for name, field in record.model_fields.items():
        for inner in types_in(field.annotation):
            if issubclass(inner, Record):
                lines += section(f"{path}.{name}".strip("."), inner, field.description)
    return lines


def table(record: type[Record]) -> list[str]:
    """One row for each plain key."""
    rows = [
        f"| `{name}` | {kind(field.annotation)} | {default(field)} | {field.description or ''} |"
        for name, field in record.model_fields.items()
        if not any(issubclass(inner, Record) for inner in types_in(field.annotation))
    ]
    return ["| key | type | default | |", "|---|---|---|---|", *rows] if rows else ["Nothing to choose."]


def kind(annotation: Any) -> str:
    """A type as a person would write it."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    text = re.sub(r"typing\.Annotated\[(\w+), FieldInfo\(.*?\]\)\]", r"\1", text)  # bounds are told by errors
    for long, short in {"typing.": "", "pathlib.": "", "NoneType": "none", "Literal": "", "Any": "any"}.items():
        text = text.replace(long, short)
    return text.replace("|", "or").strip("[]").replace("[", " of ").replace("]", "").replace(", ...", "")


def default(field: Any) -> str:
    """A default as YAML would have it."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return "none"
    text = str(list(value) if isinstance(value, tuple) else value)
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
