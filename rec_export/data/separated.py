"""Files of rows and columns with a mark between them: commas (CSV) or tabs (TSV), a header above."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from rec_export.errors import DataError, shorten

BLOCK = 16 << 20  # bytes; one row of a text file must fit in a block
PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}  # by the end of a name: what is unpacked on the way
TAIL = 256  # bytes
SWALLOWED, ALIKE = 20, 0.9  # a cell holds rows if it has so many lines, and so large a part of them looks like rows
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
    refuse_unclosed(path, table)
    return table


def refuse_unclosed(path: Path, table: pa.Table) -> None:
    """Raise DataError where a quotation mark of the last column opens a text that runs over the rows after it.

    In another column too few or too many columns tell of it. It runs to the end of the file, or to the next such mark,
    of which only lines that look like rows can tell.
    """
    column = table.columns[-1] if table.num_columns > 1 else None
    if column is None or not pa.types.is_string(column.type):
        return
    lines, last = pc.fill_null(pc.count_substring(column, "\n"), 0), table.num_rows - 1
    for row in {*pc.indices_nonzero(pc.greater(lines, SWALLOWED)).to_pylist(), last} if table.num_rows else ():
        text = column[row].as_py() or ""
        inside = text.split("\n")[1:-1]
        like_rows = sum(line.count(",") == table.num_columns - 1 for line in inside)
        if (len(inside) >= SWALLOWED and like_rows >= ALIKE * len(inside)) or (
            row == last and "\n" in text and ends_with(path, text)
        ):
            raise DataError(
                f"row {row + 2:,} (the header is row 1) of {path} opens a quotation mark that is not closed on its"
                f" line, and {lines[row].as_py():,} more lines would be read as its text; close it, and write a mark"
                ' that belongs to the text twice, in quotes: "12"" pan"'
            )


def ends_with(path: Path, text: str) -> bool:
    """Whether a file ends with a last column that is this text, opened by a quotation mark and not closed."""
    with stream_of(path) as stream:
        if stream.seekable():
            stream.seek(max(0, stream.size() - TAIL))
        tail = b""
        while piece := stream.read(BLOCK):
            tail = (tail + piece)[-TAIL:]
    return tail.endswith((b',"' + text.encode().replace(b'"', b'""'))[-TAIL:])


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
