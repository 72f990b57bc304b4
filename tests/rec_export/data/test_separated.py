"""CSV and TSV files as other programs write them, or refused in a sentence."""

import gzip
from pathlib import Path

import pytest

from rec_export.data.read import read_table
from rec_export.errors import DataError
from tests.rec_export.data.test_read import EXPECTED, ROWS, events_at


def test_a_csv_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "log.csv", index=False, encoding="utf-8-sig")
    assert events_at(tmp_path / "log.csv") == EXPECTED


def test_columns_between_tabs_keep_their_quotation_marks(tmp_path: Path) -> None:
    (tmp_path / "artists.dat").write_bytes(b'id\tname\r\n007\tThe "Who\r\n8\t"Weird" Al, esq.\r\n')
    expected = {"id": ["007", "8"], "name": ['The "Who', '"Weird" Al, esq.']}
    assert read_table(tmp_path / "artists.dat", None, text=["id"]).to_pydict() == expected


def test_other_marks_between_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_text("user,item\n1,2\n")
    with pytest.raises(DataError, match=r"log.tsv are separated by ','; write it with tabs, or with commas as .csv$"):
        read_table(tmp_path / "log.tsv", None)


HEAD = "item_id,size,title\n"


def item_lines(numbers: range) -> str:
    """Lines of a CSV file."""
    return "".join(f"{number},{number % 7},pan {number}\n" for number in numbers)


SLIPS = {
    "to the end": '2,2,"12 inch pan\n' + item_lines(range(3, 60)),
    "of the last line but one": item_lines(range(2, 40)) + '40,2,"12 inch pan\n41,3,pan',
    "to the next": '2,2,"12 inch pan\n' + item_lines(range(3, 60)) + '99,2,"9 inch pan\n' + item_lines(range(3)),
    "in the first column": '"2,2,12 inch pan\n"3,2,9 inch pan\n' + item_lines(range(3)),
    "to a text in quotes": '2,2,"12 inch pan\n' + item_lines(range(3, 9)) + '9,9,"a ""fine"" pan"\n',
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("slip", SLIPS)
def test_a_quotation_mark_that_opens_a_text_by_mistake_is_refused(slip: str, packed: str, tmp_path: Path) -> None:
    text, path = HEAD + item_lines(range(2)) + SLIPS[slip], tmp_path / f"items.csv{packed}"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    before, inside, *_ = text.split('"')
    said = rf"^line {before.count(chr(10)) + 1} of .*, and {inside.count(chr(10))} more lines would"
    with pytest.raises(DataError, match=said):
        read_table(path, None)


HONEST = [
    "two\nlines", 'said ""yes""\nand ""no""', "a, b, c\n" * 60, "\n", '\n""', "x,y,z\n\n", '""\n"",""', "\r\n", ",\n,",
    "\n".join(f'  ""key {n}"": {n},' for n in range(40)),
]  # fmt: skip


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n"])
@pytest.mark.parametrize("text", HONEST)
def test_texts_of_several_lines_are_read(text: str, end: str, tmp_path: Path) -> None:
    """Also beside marks that belong to texts without quotes, or stand behind a text in quotes."""
    sloppy = '3,4,12" pan\n5,6,"a" pan\n'
    (tmp_path / "items.csv").write_text(f'{HEAD}{sloppy}1,2,"{text}"\n1,2,"{text}"{end}', newline="")
    table = read_table(tmp_path / "items.csv", None)
    assert [title.rstrip(" ") for title in table["title"].to_pylist()[2:]] == [text.replace('""', '"')] * 2


def test_a_file_with_nothing_but_a_text_of_several_lines_is_read(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text('"a\nb",c\n"x\ny",2\n')
    assert read_table(tmp_path / "items.csv", None).to_pydict() == {"a\nb": ["x\ny"], "c": [2]}
