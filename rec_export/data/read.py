"""Read the columns that are needed from Parquet, CSV, TSV or JSON lines: one file, or a folder of parts."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from errno import EACCES
from json import JSONDecodeError
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rec_export.data.columns import numbers_where_possible
from rec_export.data.json_lines import LEFT_OUT, read_json_lines
from rec_export.data.nested import chosen, names, types_of
from rec_export.data.separated import DAMAGED, PACKED, read_csv, read_tabs, stream_of
from rec_export.errors import DataError, MissingInputError, UsageError, nearest, shorten
from rec_export.files import absent, sha256, storage_error
from rec_export.paths import utf_8
from rec_export.words import counted

State = tuple[Path, int, int]
SCHEMAS: dict[tuple[State, bool], pa.Schema] = {}  # of the files that were opened, as they were then; and whether some
# columns were read as text, so that their types are not what they would have been
GUESSING = read_csv, read_tabs  # readers that tell numbers from text by how they are written


def read_table(
    path: Path, columns: list[str] | None, *, text: list[str] | None = None, may_be_empty: bool = False
) -> pa.Table:
    """The named columns of the file or folder at `path`; None: all but objects.

    The field b of the objects in column a is the column `a.b`. Columns in `text` are read from CSV as they stand,
    without guessing that 007 is a number. Raises MissingInputError, DataError, and UsageError for a column that is not
    there.
    """
    parts = parts_of(path)
    tables = [read_part(part, columns, text or []) for part in parts]
    try:
        table = together(tables)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        if not all(reader_of(part) in GUESSING for part in parts):
            raise DataError(
                f"the parts of {path} do not fit together: {first_line(error)}; write the column in one type everywhere"
            ) from error
        # Their types are guesses, and those of one file with all rows would have been others.
        table = together([read_part(part, columns, [*(text or []), *changing(tables)]) for part in parts])
    if table.num_rows == 0 and table.num_columns > 0 and not may_be_empty:  # pyarrow counts rows by columns
        raise DataError(f"{path} has no rows; is it the right file, and was it written to its end?")
    if reader_of(parts[0]) in GUESSING:  # only here does a number look like text
        for name in set(text or []) & set(table.column_names):
            table = table.set_column(table.column_names.index(name), name, numbers_where_possible(table[name]))
    return table


def together(tables: list[pa.Table]) -> pa.Table:
    """Parts under each other, in types that hold the values of all."""
    return pa.concat_tables(tables, promote_options="permissive")


def plain(table: pa.Table) -> pa.Table:
    """Text in views, as Arrow lays it out for some programs, as text that everything here knows."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def changing(tables: list[pa.Table]) -> list[str]:
    """The columns that are of several types."""
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    return [n for n in names if len({table.schema.field(n).type for table in tables if n in table.column_names}) > 1]


def names_in(path: Path, inside: bool = False) -> list[str]:
    """The columns of the file or folder at `path`, and of objects the fields; no file is read twice for that."""
    schemas = [schema_of(part) for part in parts_of(path)]
    return list(dict.fromkeys(name for schema in schemas for name in (names(schema) if inside else schema.names)))


def in_every_part(path: Path, names: Iterable[str]) -> list[str]:
    """Those of some columns, or fields of objects, that no part of the folder at `path` lacks."""
    parts = [set(names_in(part, inside=True)) for part in parts_of(path)]
    return [name for name in names if all(name in part for part in parts)]


def types_in(path: Path) -> dict[str, pa.DataType]:
    """The columns of the file or folder at `path` that are no objects, the fields of objects, and their types."""
    schemas = [schema_of(part, typed=True) for part in parts_of(path)]
    return {name: kind for schema in reversed(schemas) for name, kind in types_of(schema)}


def parts_of(path: Path) -> list[Path]:
    """The data files at `path`, in the order of their names; what starts with `_` or `.` is not data."""
    if not path.exists():
        raise absent(path, "name a file, or a folder of parts")
    if path.is_file():
        if reader_of(path) is None:
            raise UsageError(
                f"{path} is not .parquet, .csv, .tsv or .jsonl (or .csv.gz, .csv.bz2, .csv.zst); convert or rename it"
            )
        return [path]
    refuse_versions(path)
    inside = [utf_8(p) for p in sorted(path.rglob("*")) if p.is_file()]
    shown = [p for p in inside if not any(part[0] in "_." for part in p.relative_to(path).parts)]
    strange = [p for p in shown if reader_of(p) is None and LIKE_DATA.search(p.name)]
    if strange:
        raise UsageError(
            f"{counted(len(strange), 'file')} in {path} would not be read, the first being {strange[0].name}: it is not"
            " .parquet, .csv, .tsv or .jsonl (or .csv.gz, .csv.bz2, .csv.zst); convert or rename it, or take it away"
        )
    parts = [p for p in shown if reader_of(p)]
    if not parts:
        raise MissingInputError(f"the folder {path} holds no .parquet, .csv, .tsv or .jsonl file")
    return parts


def refuse_versions(folder: Path) -> None:
    """Raise UsageError for the folder of a table whose files are not all of what it holds now."""
    found = next((kind for inside, kind in VERSIONED.items() if next(folder.glob(inside), None) is not None), None)
    if found is not None:
        raise UsageError(
            f"{folder} is the folder of {found} table, where files of older versions lie beside those of today; write"
            " what it holds now to Parquet, as DuckDB, Spark or Polars do, and name that"
        )


def fingerprint(path: Path) -> str:
    """One sha256 of a file, or of a folder's parts with their names."""
    if path.is_file():
        return sha256(path)
    facts = [[str(part.relative_to(path)), sha256(part)] for part in parts_of(path)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def refuse_changes(hashes: dict[str, str], paths: dict[str, Path]) -> None:
    """Raise DataError where a file is not what it was when its fingerprint was taken."""
    for name, path in paths.items():
        if fingerprint(path) != hashes[name]:
            raise DataError(f"{path} was changed while it was read; run the command again when it is written")


def read_part(path: Path, columns: list[str] | None, text: list[str]) -> pa.Table:
    """The named columns of one file."""
    table = opened(path, text)
    there = names(table.schema)
    missing = [name for name in columns or [] if name not in there]
    if missing:
        known = nearest(missing[0], there)
        hint = "; a field is left out where its values change their type" if reader_of(path) is read_json_lines else ""
        raise UsageError(f"no column {missing[0]!r} in {path}{known}{hint}")
    twice = [name for name in columns or there if there.count(name) > 1]
    if twice:
        raise DataError(f"{there.count(twice[0])} columns of {path} are called {twice[0]!r}; rename or remove one")
    with damage_told(path):
        return chosen(table.to_table(columns) if isinstance(table, Parquet) else table, columns)


def opened(path: Path, text: list[str]) -> "Parquet | pa.Table":
    """One file, whose columns are known and of Parquet not yet read."""
    reader, state = reader_of(path), state_of(path)
    assert reader is not None
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); write it again")
    with damage_told(path):
        refuse_wide_letters(path, reader)
        table = reader(path, text)
    SCHEMAS[state, bool(text)] = table.schema
    return table


def refuse_wide_letters(path: Path, reader: "Reader") -> None:
    """Raise DataError for text in UTF-16, as spreadsheets write it, which is no damage."""
    if reader is read_parquet:
        return
    with stream_of(path) as stream:
        if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(f"{path} is in UTF-16; write it in UTF-8")


def schema_of(path: Path, typed: bool = False) -> pa.Schema:
    """The columns of one file, which is opened if it was not yet, or has changed since; `typed`: as their types are."""
    state = state_of(path)
    known = SCHEMAS.get((state, False)) or (None if typed else SCHEMAS.get((state, True)))
    return opened(path, []).schema if known is None else known


def state_of(path: Path) -> State:
    """What tells whether a file has changed."""
    now = path.stat()
    return path.absolute(), now.st_mtime_ns, now.st_size


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """What the libraries raise about a file becomes a sentence about it."""
    try:
        yield
    except (
        pa.ArrowInvalid,
        pa.ArrowNotImplementedError,
        pa.ArrowKeyError,
        UnicodeDecodeError,
        JSONDecodeError,
        RecursionError,
    ) as error:
        raise DataError(f"{path} {DAMAGED}: {first_line(error)}") from error
    except PermissionError as error:
        raise storage_error(path, PermissionError(EACCES, os.strerror(EACCES))) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read, it is damaged or cut off: {first_line(error)}") from error


class Parquet:
    """A Parquet file whose columns are read when they are known to be there."""

    def __init__(self, path: Path) -> None:
        self.file = pq.ParquetFile(path, page_checksum_verification=True)
        self.schema = plain(self.file.schema_arrow.empty_table()).schema

    def to_table(self, columns: list[str] | None) -> pa.Table:
        """The named columns of all row groups. Raises pyarrow.ArrowInvalid where text is no UTF-8."""
        table = plain(self.file.read(columns=columns))
        table.validate(full=True)
        return table


def read_parquet(path: Path, text: list[str]) -> Parquet:
    """Open a Parquet file."""
    return Parquet(path)


def left_out(path: Path) -> list[str]:
    """The fields of the file or folder at `path` that are not read, as their values change their type."""
    schemas = (schema_of(part) for part in parts_of(path) if reader_of(part) is read_json_lines)
    named = (json.loads((schema.metadata or {}).get(LEFT_OUT, b"[]")) for schema in schemas)
    return list(dict.fromkeys(name for names in named for name in names))


Reader = Callable[[Path, list[str]], "Parquet | pa.Table"]
OF_LINES: dict[str, Reader] = {
    ".csv": read_csv,
    **dict.fromkeys((".tsv", ".dat"), read_tabs),
    **dict.fromkeys((".inter", ".item", ".user"), read_tabs),  # RecBole's atomic files
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), read_json_lines),
    ".listens": read_json_lines,  # as the dumps of ListenBrainz are called
}
READERS: dict[str, Reader] = {
    **dict.fromkeys((".parquet", ".pq"), read_parquet),
    **OF_LINES,
    **{ending + packed: reader for ending, reader in OF_LINES.items() for packed in PACKED},
}


VERSIONED = {"_delta_log": "a Delta", "metadata/*.metadata.json": "an Iceberg", ".hoodie": "a Hudi"}
LIKE_DATA = re.compile(  # by its name, though nothing here reads it; other files may lie beside the parts
    rf"^part-[^.]*$|\.(orc|avro|arrow|feather)$"
    rf"|({'|'.join(map(re.escape, READERS))})(\.tar)?\.(gz|bz2|zst|xz|zip|lz4|snappy|z|br)$",
    re.IGNORECASE,
)


def reader_of(path: Path) -> Reader | None:
    """The function that reads a file with this name."""
    return next((READERS[ending] for ending in sorted(READERS) if path.name.lower().endswith(ending)), None)


def first_line(error: Exception) -> str:
    """The first line of a library's message; the rest is for its authors."""
    return shorten((str(error).splitlines() or [type(error).__name__])[0], 200)
