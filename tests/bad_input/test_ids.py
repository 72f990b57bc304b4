"""Ids are strings that nobody chose for our convenience."""

from pathlib import Path

import pytest

from tests.bad_input.conftest import changed_items, error
from tests.conftest import Tell, config_file, done, read_lists, write_table

HOSTILE = [
    "\u200b",
    " ",
    "  two  spaces ",
    "a/b/../c",
    "..",
    "\\",
    "line\nend",
    "tab\t",
    "\0",
    "'\";--",
    "é",
    "e\u0301",
    "ß",
    "日本語",
    "🛒",
    "\u202eright to left",
    "\ufeff",
    "x" * 10_000,
    "NaN",
    "null",
    "007",
    "7",
    "-0",
    "1e3",
    "None",
]


@pytest.mark.slow
def test_hostile_ids_come_out_as_they_came_in(tmp_path: Path, tell: Tell) -> None:
    users = [user for user in HOSTILE for _ in HOSTILE[:-5]]
    items = [HOSTILE[(place + shift) % 25] for place in range(25) for shift in range(20)]
    write_table(tmp_path / "log.parquet", user_id=users, item_id=items)
    config = config_file(
        tmp_path,
        data={"interactions": {"path": "log.parquet"}},
        model={"name": "pmf", "dim": 2},
        training={"epochs": 1, "refit": False},
    )
    done("train", config, "--out", tmp_path / "checkpoint")
    done("torchscript", tmp_path / "checkpoint", "--out", tmp_path / "bundle")
    done(
        "score", tmp_path / "bundle", "--interactions", tmp_path / "log.parquet", "--out", tmp_path / "recs", "--k", 25
    )
    lists = read_lists(tmp_path / "recs").to_pydict()
    given = dict.fromkeys(HOSTILE, frozenset[str]())
    met = dict(given)
    for user, item in zip(lists["user_id"], lists["item_id"], strict=True):
        given[user] |= {item}
    for user, item in zip(users, items, strict=True):
        met[user] |= {item}
    expected = {user: frozenset(HOSTILE) - met[user] for user in HOSTILE}
    wrong = sum(given[user] != expected[user] for user in HOSTILE)
    tell("hostile ids of users and items, trained on and published", f"{len(HOSTILE)} ids", f"{wrong} wrong")
    assert given == expected


def test_a_hostile_id_in_a_sentence_is_short_and_on_one_line(place: Path) -> None:
    hostile = "line\nend " + "x" * 10_000
    answer = changed_items(place, item_id=[hostile, hostile, *[f"i{item}" for item in range(18)]])
    assert answer == error(
        65,
        "1 ids stand more than once in column 'item_id' of DIR/items.parquet, the first being"
        f" 'line\\nend {'x' * 48}…; keep one row of each",
    )
