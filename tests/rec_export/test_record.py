"""A record is a frozen value and a JSON file, and says in one sentence what is wrong with one."""

from pathlib import Path
from typing import Literal, final

import pytest
from pydantic import Field
from pydantic import ValidationError as PydanticError

from rec_export.checkpoint import Checkpoint
from rec_export.errors import MissingInputError, ModelError, UsageError, nearest, shorten, some
from rec_export.record import Record


@final
class Part(Record):
    """A part."""

    width: float = 1.0
    kinds: tuple[str, ...] = ()


@final
class Whole(Record):
    """A whole with parts."""

    name: str
    size: int = Field(default=1, ge=0)
    part: Part | None = None
    sizes: tuple[int, ...] = ()
    limits: dict[str, float] = Field(default_factory=dict)
    taken: bool | float = 1.5
    side: Literal["left", "right"] = "left"


WHOLE = Whole(name="日本\n語", size=3, part=Part(width=float("inf"), kinds=("a",)), side="right")


def test_a_truth_may_stand_where_it_is_one_of_the_kinds() -> None:
    assert Whole.of({"name": "x", "taken": True}, "here").taken is True


def test_another_format_is_told_before_the_keys_that_are_new_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "spec.json").write_text('{"format": 2, "news": 1}')
    with pytest.raises(ModelError, match=r"checkpoint has format 2, this version reads 1; train again$"):
        Checkpoint.read(folder)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    WHOLE.write(tmp_path / "whole.json")
    assert Whole.read(tmp_path / "whole.json") == WHOLE


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(PydanticError):
        WHOLE.size = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "the key 'name' is missing"),
        ({"nme": "x", "name": "x"}, "unknown key 'nme'; did you mean 'name'?"),
        ({"name": "x", "part": {"widht": 2}}, "unknown key 'part.widht'; did you mean 'width'?"),
        ({"name": "x", "part": {"zzz": 2}}, "unknown key 'part.zzz'; known: kinds, width"),
        ({"name": "x", "size": -1}, "size is -1, but should be greater than or equal to 0"),
        ({"name": "x", "size": True}, "size is true, but should be a number"),
        ({"name": "x", "sizes": [1, True]}, "sizes is [1, true], but should be a number"),
        ({"name": "x", "limits": {"a": 1, "b": False}}, 'limits is {"a": 1, "b": false}, but should be a number'),
        ({"name": "x", "side": "up"}, "side is \"up\", but should be 'left' or 'right'"),
        ({"name": "x", "part": {"kinds": "a"}}, 'part.kinds is "a", but should be a list'),
        ({"name": "x", "part": 3}, "part is 3, but should be a mapping of keys to values"),
        ({"name": ["y" * 100]}, f'name is ["{"y" * 57}…, but should be a valid string'),
        (
            {"name": "x", "sise": 1, "sidee": 2},
            "2 mistakes: (1) unknown key 'sise'; did you mean 'size'? (2) unknown key 'sidee'; did you mean 'side'?",
        ),
    ],
)
def test_what_a_person_wrote_wrong_is_said_in_one_sentence(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        Whole.of(fields, "here")
    assert str(refused.value) == f"here: {sentence}"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"name": 3}', b"\xff"])
def test_a_damaged_file_is_a_model_error_in_one_line(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "whole.json"
    path.write_bytes(text)
    with pytest.raises(ModelError) as refused:
        Whole.read(path)
    assert str(refused.value).startswith(f"{path} is not a valid Whole: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["nothing.json", "file/whole.json"])
def test_a_missing_file_is_a_missing_input(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingInputError, match=r"does not exist; name a directory that rec-export wrote$"):
        Whole.read(tmp_path / name)


def test_the_nearest_is_found_in_any_case_or_all_are_listed() -> None:
    assert nearest("USERID", ["user_id", "item"]) == "; did you mean 'user_id'?"
    assert nearest("Item", ["ITEM", "x"]) == "; did you mean 'ITEM'?"
    assert nearest("qqq", ["b", "a"]) == "; known: a, b"
    assert nearest("qqq", []) == ""


def test_values_are_shown_few_and_short() -> None:
    assert some(["a\nb", 2, None, "more"]) == "'a\\nb', 2, None"
    assert some(["x" * 10_000]) == f"'{'x' * 58}…"
    assert shorten("x" * 60) == "x" * 60
