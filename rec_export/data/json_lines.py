"""Files of one JSON object a line."""

import json
from json import JSONDecodeError
from pathlib import Path

import pyarrow as pa
import pyarrow.json as pa_json

from rec_export.data.nested import common, first_damage
from rec_export.data.separated import BLOCK, DAMAGED, stream_of
from rec_export.errors import DataError

LEFT_OUT = b"left_out"  # in the metadata of a schema: fields that are not in it


def read_json_lines(path: Path, text: list[str]) -> pa.Table:
    """Read one JSON object a line. Fields that change their type are left out."""
    try:
        table = parsed_alike(path)
        if table is not None:
            return table
        alike = common(path)
        return parsed(path, alike.schema).replace_schema_metadata({LEFT_OUT: json.dumps(alike.left_out)})
    except (pa.ArrowInvalid, JSONDecodeError) as error:
        if begins_an_array(path):
            raise DataError(f"{path} is a JSON array; write one object a line, as `jq -c '.[]'` does") from error
        damage = first_damage(path)
        if damage is not None:
            raise DataError(f"{path} {DAMAGED}: line {damage.line:,} is no JSON ({damage.why})") from error
        raise


def begins_an_array(path: Path) -> bool:
    """Whether the first character of a file is the bracket of a JSON array."""
    with stream_of(path) as stream:
        return bool(stream.read(1024).lstrip()[:1] == b"[")


def parsed_alike(path: Path) -> pa.Table | None:
    """JSON lines as a table of all their fields; None where a field changes its type."""
    try:
        return parsed(path, None)
    except pa.ArrowInvalid as error:
        if "changed from" not in str(error):
            raise
    return None


def parsed(path: Path, schema: pa.Schema | None) -> pa.Table:
    """JSON lines as a table of the fields in `schema`; None: of all."""
    only = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore" if schema else "infer")
    with stream_of(path) as stream:
        return pa_json.read_json(stream, read_options=pa_json.ReadOptions(block_size=BLOCK), parse_options=only)
