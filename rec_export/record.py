"""Record: an immutable value with typed fields that is also a JSON file. Unknown keys are refused."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from rec_export.errors import ModelError, UsageError, nearest, shorten
from rec_export.files import absent, write_whole
from rec_export.redact import HIDDEN, redacted

PLAIN = {
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "path_type": "a path",
    "tuple_type": "a list",
    "string_pattern_mismatch": "a metric and a length of lists, such as ndcg@10, hr@5, recall@50 or mrr@20;"
    " or rmse, mae or r2",
}
"""What pydantic says in the words of Python, in those of a YAML file; by the type of the complaint."""
SECRET = ("ping",)  # keys whose values are never said
MOST_SHOWN = 5  # complaints in one sentence


class Record(BaseModel):
    """A frozen value; two records with the same fields are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """In Python `true` is a 1; where a person writes it for a number it is a slip."""
        kinds = types_in(cls.model_fields[str(info.field_name)].annotation)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
        if bool not in kinds and {int, float} & {*kinds} and any(isinstance(one, bool) for one in inside):
            raise ValueError("a number")
        return value

    def as_json(self) -> str:
        """The fields as JSON that a person can read."""
        return self.model_dump_json(indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write the fields as JSON; the file is whole, and on the disk."""
        write_whole(path, self.as_json())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote. Raises ModelError when the file is not such a record."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise absent(path, "name a directory that rec-export wrote") from error
        except ValidationError as error:
            raise ModelError(f"{path} is not a valid {cls.__name__}: {sentence(cls, error)}") from error

    @classmethod
    def read_format(cls, path: Path, wanted: int, anew: str) -> Self:
        """The same of a file with a key `format`. Raises ModelError for another format, whatever keys are new in it."""
        with suppress(OSError, ValueError, RecursionError):  # of which `read` tells
            told = json.loads(path.read_bytes())
            if isinstance(told, dict) and isinstance(told.get("format"), int) and told["format"] != wanted:
                raise ModelError(f"{path.parent} has format {told['format']}, this version reads {wanted}; {anew}")
        return cls.read(path)

    @classmethod
    def of(cls, fields: dict[str, Any], where: str) -> Self:
        """Check fields that a person wrote. Raises UsageError in one sentence that names the key."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise UsageError(f"{where}: {sentence(cls, error)}") from error


def sentence(record: type[BaseModel], error: ValidationError) -> str:
    """The complaints as a person would say them; numbered, where there are several."""
    said = [complaint(record, detail) for detail in error.errors(include_url=False)]
    if len(said) == 1:
        return said[0]
    shown = " ".join(f"({place}) {one}" for place, one in enumerate(said[:MOST_SHOWN], 1))
    return f"{len(said)} mistakes: {shown}" + (" and so on" if len(said) > MOST_SHOWN else "")


def complaint(record: type[BaseModel], detail: ErrorDetails) -> str:
    """One complaint of pydantic as a clause: the key, the value, and the nearest right key."""
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"unknown key {where!r}{nearest(str(detail['loc'][-1]), keys_at(record, detail['loc'][:-1]))}"
    if detail["type"] == "json_invalid":
        return str(detail["msg"])
    if detail["type"] == "missing":
        return f"the key {where!r} is missing"
    try:
        value = shorten(redacted(json.dumps(detail["input"], default=str)))
    except (ValueError, RecursionError):  # YAML can hold a list that holds itself
        value = "a value that holds itself"
    if detail["loc"] and detail["loc"][-1] in SECRET:
        value = HIDDEN
    message = PLAIN.get(detail["type"]) or detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if not where:
        return f"there should be {message}"
    return f"{where} is {value}, but should be {message}"


def keys_at(record: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at `path` inside `record`."""
    for part in path:
        field = record.model_fields.get(str(part))
        inner = field and next((t for t in types_in(field.annotation) if issubclass(t, BaseModel)), None)
        if inner:
            record = inner
    return list(record.model_fields)


def types_in(annotation: Any) -> list[type]:
    """The classes inside an annotation such as `Items | None`."""
    if isinstance(annotation, type):
        return [annotation]
    return [t for part in getattr(annotation, "__args__", ()) for t in types_in(part)]
