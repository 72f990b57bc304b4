"""Files of rows and columns with a mark between them: commas (CSV) or tabs (TSV), a header above."""

import mmap
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from rec_export.errors import DataError, shorten

DAMAGED = "cannot be read, it is damaged or not what its name says"
BLOCK = 16 << 20  # bytes; one row of a text file must fit in a block
PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}  # by the end of a name: what is unpacked on the way
WELL_QUOTED = re.compile(  # possessive throughout, so that a file takes no longer than reading it
    rb'(?:[^"]++'
    rb'|(?:(?<=[,\r\n])|\A)"(?:[^"]++|"")*+"(?=[ \t]*+(?:[,\r\n]|\Z))'  # a text in quotes
    rb'|(?:(?<=[,\r\n])|\A)"(?:[^"\n]++|"")*+"'  # one with something behind it, but on one line
    rb'|(?<![,\r\n])(?<!\A)")*+'  # a mark inside a text without quotes
)
MARKS = (";", "\t", "|", "::")  # that other programs write between columns
UNEVEN = re.compile(
    r"(Row #(?P<number>\d+): )?Expected (?P<expected>\d+) columns, got (?P<got>\d+): (?P<row>[^\n]*)"
)  # pyarrow's words


def read_csv(path: Path, text: list[str]) -> pa.Table:
    """Read a CSV file with a header. Columns in `text` are not guessed to be numbers."""
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
    refuse_slips_in_quotes(path, table)
    return table


def refuse_slips_in_quotes(path: Path, table: pa.Table) -> None:
    """Raise DataError where a text runs over lines, and ends with the file or at a quotation mark of another text.

    What is in quotes ends at a comma or with its line; a mark with something else behind it was meant to open a text.
    """
    texts = (column for column in table.columns if pa.types.is_string(column.type))
    if not any(pc.any(pc.match_substring(column, "\n")).as_py() for column in texts):
        return
    content = content_of(path)
    whole = WELL_QUOTED.match(content)
    assert whole is not None  # at its worst it matches nothing
    place, size = whole.end(), len(content)
    if place < size:
        closed = content.find(b'"', place + 1)
        first = content[:place].count(b"\n") + 1
        lines = content[place : size if closed < 0 else closed].count(b"\n")
        raise DataError(
            f"line {first:,} of {path} opens a quotation mark that is not closed there, and {lines:,} more lines would"
            ' be read as its text; close it, and write a mark that belongs to the text twice, in quotes: "12"" pan"'
        )


def content_of(path: Path) -> mmap.mmap | bytes:
    """All bytes of a file, which are brought to memory only as they are read, if they are not packed."""
    if path.suffix.lower() in PACKED:
        with stream_of(path) as stream:
            return bytes(stream.read())
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


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
    with stream_of(path) as stream:
        return pa_csv.read_csv(stream, read_options=read, convert_options=convert, parse_options=parse)


def stream_of(path: Path) -> pa.NativeFile:
    """The bytes of a file, unpacked where its name says that they are packed."""
    return pa.input_stream(str(path), compression=PACKED.get(path.suffix.lower()))
