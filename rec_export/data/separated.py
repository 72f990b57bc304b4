"""Files of rows and columns with a mark between them: commas (CSV) or tabs (TSV), a header above."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from rec_export.errors import DataError, shorten

BLOCK = 16 << 20  # bytes; one row of a text file must fit in a block
MARKS = (";", "\t", "|", "::")  # that other programs write between columns
UNEVEN = re.compile(
    r"(Row #(?P<number>\d+): )?Expected (?P<expected>\d+) columns, got (?P<got>\d+): (?P<row>[^\n]*)"
)  # pyarrow's words


def read_csv(path: Path, text: list[str]) -> pa.Table:
    """Read a CSV file with a header; .gz is unpacked on the way. Columns in `text` are not guessed to be numbers."""
    quoted = pa_csv.ParseOptions(newlines_in_values=True)
    try:
        table = rows_of(path, text, quoted)
    except pa.ArrowInvalid as error:
        uneven = UNEVEN.search(numbered(path, text, quoted) or str(error))
        if uneven is None or int(uneven["got"]) < int(uneven["expected"]):
            raise
        refuse_other_marks(path, [uneven["row"]] if uneven["expected"] == "1" else [])
        where = f"row {int(uneven['number']):,} (the header is row 1)" if uneven["number"] else "a row"
        raise DataError(
            f"{where} of {path} has {uneven['got']} columns where the header has {uneven['expected']}:"
            f" {shorten(uneven['row'])}; write numbers with points (4.5, not 4,5), and put text with commas in quotes"
        ) from error
    refuse_other_marks(path, table.column_names if table.num_columns == 1 else [])
    return table


def numbered(path: Path, text: list[str], parse: pa_csv.ParseOptions) -> str | None:
    """What pyarrow says of a file that it cannot read, with the number of the row, which only one thread knows."""
    try:
        rows_of(path, text, parse, threads=False)
    except pa.ArrowInvalid as error:
        return str(error)
    return None


def refuse_other_marks(path: Path, lines: list[str]) -> None:
    """Raise DataError where a line, of what was read as one column, shows what else separates columns."""
    other = next((mark for mark in MARKS for line in lines if mark in line), None)
    if other is not None:
        raise DataError(
            f"the columns of {path} are separated by {other!r}; write it with commas between columns, and with points"
            " in numbers (4.5, not 4,5)"
        )


def read_tabs(path: Path, text: list[str]) -> pa.Table:
    """Read a file with tabs between its columns, where a quotation mark is a letter like others."""
    table = rows_of(path, text, pa_csv.ParseOptions(delimiter="\t", quote_char=False))
    header = table.column_names[0] if table.num_columns == 1 else ""
    other = next((mark for mark in (",", *MARKS) if mark in header), None)
    if other is not None:
        raise DataError(f"the columns of {path} are separated by {other!r}; write it with tabs, or with commas as .csv")
    return table


def rows_of(path: Path, text: list[str], parse: pa_csv.ParseOptions, *, threads: bool = True) -> pa.Table:
    """All rows and columns; only what is empty is missing."""
    convert = pa_csv.ConvertOptions(
        column_types={name: pa.string() for name in text}, strings_can_be_null=True, null_values=[""]
    )
    read = pa_csv.ReadOptions(block_size=BLOCK, use_threads=threads)
    return pa_csv.read_csv(path, read_options=read, convert_options=convert, parse_options=parse)
