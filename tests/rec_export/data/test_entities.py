"""A cell means what it says, whatever the other rows of its file hold."""

from pathlib import Path

import pytest

from rec_export.data.columns import bags, words
from rec_export.data.config import Attributes
from rec_export.data.entities import read_attributes


@pytest.mark.parametrize("more", ["", "d,7.5\n", "d,none\n", "d,\n"])
def test_a_category_is_spelled_alike_whatever_stands_in_other_rows(more: str, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(f"item_id,size\na,7.0\nb,8.0\nc,9.0\n{more}")
    table = read_attributes(Attributes(path=tmp_path / "items.csv", id="item_id", category=("size",)))
    assert words(table["size"], "size").to_pylist()[:3] == ["7", "8", "9"]


def test_blanks_around_the_pieces_of_tags_are_none_of_theirs(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,genres\na,Action | Comedy\nb,Comedy\nc,\nd,|\ne, \n")
    table = read_attributes(Attributes(path=tmp_path / "items.csv", id="item_id", tags=("genres",)))
    assert bags(table["genres"], "|", "genres").to_pylist() == [["Action", "Comedy"], ["Comedy"], None, ["", ""], [""]]
