"""Read the columns that are needed from Parquet, CSV or JSON lines: one file, or a folder of parts."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from rec_export.data.columns import numbers_where_possible
from rec_export.errors import DataError, MissingInputError, UsageError, nearest, shorten
from rec_export.files import sha256

SEPARATORS = (";", "\t", "|")  # that other programs write into CSV files
UNEVEN = re.compile(r"Expected (?P<expected>\d+) columns, got (?P<got>\d+): (?P<row>[^\n]*)")  # pyarrow's words
BLOCK = 16 << 20  # bytes; one row of a text file must fit in a block


def read_table(
    path: Path, columns: list[str] | None, *, text: list[str] | None = None, may_be_empty: bool = False
) -> pa.Table:
    """The named columns (None: all) of the file or folder at `path`.

    Columns in `text` are read from CSV as they stand, without guessing that 007 is a number. Raises MissingInputError,
    DataError, and UsageError for a column that is not there.
    """
    parts = parts_of(path)
    tables = [read_part(part, columns, text or []) for part in parts]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the parts of {path} do not fit together: {first_line(error)}") from error
    if table.num_rows == 0 and not may_be_empty:
        raise DataError(f"{path} has no rows; nothing can be learned from it")
    if reader_of(parts[0]) is read_csv:  # only here does a number look like text
        for name in set(text or []) & set(table.column_names):
            table = table.set_column(table.column_names.index(name), name, numbers_where_possible(table[name]))
    return table


def names_in(path: Path) -> list[str]:
    """The columns of the file or folder at `path`; of Parquet the rows are not read for that."""
    opened = [
        read_parquet(part, []) if reader_of(part) is read_parquet else read_part(part, None, [])
        for part in parts_of(path)
    ]
    return list(dict.fromkeys(name for table in opened for name in table.schema.names))


def parts_of(path: Path) -> list[Path]:
    """The data files at `path`, in the order of their names; what starts with `_` or `.` is not data."""
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingInputError(f"{path} does not exist{nearest(path.name, siblings[:1000])}")
    if path.is_file():
        if path.name.lower().endswith(".tsv"):
            turned = f"pandas.read_csv({path.name!r}, sep='\\t').to_parquet({path.with_suffix('.parquet').name!r})"
            raise UsageError(f"{path} has tabs between columns, which are not read; turn it into Parquet: {turned}")
        if reader_of(path) is None:
            raise UsageError(f"{path} is not .parquet, .csv or .jsonl (or .csv.gz, .jsonl.gz); convert or rename it")
        return [path]
    inside = [p for p in sorted(path.rglob("*")) if p.is_file() and reader_of(p)]
    parts = [p for p in inside if not any(part[0] in "_." for part in p.relative_to(path).parts)]
    if not parts:
        raise MissingInputError(f"the folder {path} holds no .parquet, .csv or .jsonl file")
    return parts


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
    reader = reader_of(path)
    assert reader is not None
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); write it again")
    try:
        table = reader(path, text)
        names = table.schema.names
        missing = [name for name in columns or [] if name not in names]
        if missing:
            raise UsageError(f"no column {missing[0]!r} in {path}{nearest(missing[0], names)}")
        twice = [name for name in columns or names if names.count(name) > 1]
        if twice:
            raise DataError(f"{names.count(twice[0])} columns of {path} are called {twice[0]!r}; rename or remove one")
        return table.to_table(columns) if isinstance(table, Parquet) else table.select(columns or table.column_names)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read, it is damaged or not what its name says: {first_line(error)}"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read, it is damaged or cut off: {first_line(error)}") from error


class Parquet:
    """A Parquet file whose columns are read when they are known to be there."""

    def __init__(self, path: Path) -> None:
        self.file = pq.ParquetFile(path, page_checksum_verification=True)
        self.schema = self.file.schema_arrow

    def to_table(self, columns: list[str] | None) -> pa.Table:
        """The named columns of all row groups."""
        return self.file.read(columns=columns)


def read_parquet(path: Path, text: list[str]) -> Parquet:
    """Open a Parquet file."""
    return Parquet(path)


def read_csv(path: Path, text: list[str]) -> pa.Table:
    """Read a CSV file with a header; .gz is unpacked on the way."""
    convert = pa_csv.ConvertOptions(
        column_types={name: pa.string() for name in text}, strings_can_be_null=True, null_values=[""]
    )
    try:
        table = pa_csv.read_csv(
            path, read_options=pa_csv.ReadOptions(block_size=BLOCK), convert_options=convert,
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        uneven = UNEVEN.search(str(error))
        if uneven is None or int(uneven["got"]) < int(uneven["expected"]):
            raise
        refuse_separators(path, [uneven["row"]] if uneven["expected"] == "1" else [])
        raise DataError(
            f"a row of {path} has {uneven['got']} columns where the header has {uneven['expected']}:"
            f" {shorten(uneven['row'])}; write numbers with points (4.5, not 4,5), and put text with commas in quotes"
        ) from error
    refuse_separators(path, table.column_names if table.num_columns == 1 else [])
    return table


def refuse_separators(path: Path, lines: list[str]) -> None:
    """Raise DataError where a line, of what was read as one column, shows what else separates columns."""
    other = next((mark for mark in SEPARATORS for line in lines if mark in line), None)
    if other is not None:
        raise DataError(
            f"the columns of {path} are separated by {other!r}; write it with commas between columns, and with points"
            " in numbers (4.5, not 4,5)"
        )


def read_json_lines(path: Path, text: list[str]) -> pa.Table:
    """Read one JSON object a line; .gz is unpacked on the way."""
    with pa.input_stream(str(path), compression="detect") as stream:
        return pa_json.read_json(stream, read_options=pa_json.ReadOptions(block_size=BLOCK))


READERS: dict[str, Callable[[Path, list[str]], "Parquet | pa.Table"]] = {
    ".parquet": read_parquet,
    ".pq": read_parquet,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".ndjson": read_json_lines,
    ".ndjson.gz": read_json_lines,
    ".json": read_json_lines,
    ".json.gz": read_json_lines,
}


def reader_of(path: Path) -> Callable[[Path, list[str]], "Parquet | pa.Table"] | None:
    """The function that reads a file with this name."""
    return next((READERS[ending] for ending in sorted(READERS) if path.name.lower().endswith(ending)), None)


def first_line(error: Exception) -> str:
    """The first line of a library's message; the rest is for its authors."""
    return shorten((str(error).splitlines() or [type(error).__name__])[0], 200)
