"""YAML as a person means it: a key that stands twice in one place is a slip, not an order to forget the first, 010 is
no eight, and a day is the text that was written.
"""

import re
from collections.abc import Hashable
from typing import Any, final

import yaml

PLAIN = re.compile(
    r"[-+]?(0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?|[-+]?\.\d+([eE][-+]?\d+)?|[-+]?\.(inf|nan)", re.IGNORECASE
)


class SlipError(yaml.YAMLError):
    """What YAML takes and nobody means."""


@final
class Loader(yaml.SafeLoader):
    """The safe loader, which refuses a mapping with the same key twice, and numbers that nobody else reads so."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Before keys are merged in by `<<`, which may be overridden."""
        first: dict[tuple[str, Any], int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else []:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in first:
                raise SlipError(
                    f"the key {name[1]!r} in line {line} stands in line {first[name]} already; keep one of them"
                )
            first[name] = line
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number as everybody writes it; octal, grouped and sixty-fold ones are ids or times without their quotes."""
        whole = node.tag.endswith(":int")
        value: int | float = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        if not PLAIN.fullmatch(node.value):
            raise SlipError(
                f"{node.value} in line {node.start_mark.line + 1} is {value} to YAML; put it into quotes if it is text,"
                f" such as an id, or write {value}"
            )
        return value

    def construct_day(self, node: yaml.ScalarNode) -> str:
        """What was written; whether it is a day is asked where one is wanted."""
        return str(self.construct_scalar(node))


for kind in ("int", "float"):
    Loader.add_constructor(f"tag:yaml.org,2002:{kind}", Loader.construct_number)
Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_day)


def load(text: str) -> Any:
    """What a YAML document says. Raises yaml.YAMLError."""
    try:
        return yaml.load(text, Loader)
    except (ValueError, IndexError) as error:  # of a number by its tag alone
        said = " ".join(str(error).split()) or "it is empty"
        raise SlipError(f"it has a value that is not what it looks like: {said}") from error


def told(error: yaml.YAMLError) -> str:
    """What is wrong with a document, and where, in one line."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark, began = error.problem_mark, error.context_mark
    since = f", {error.context} that begins in line {began.line + 1}" if error.context and began else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}{since}"
