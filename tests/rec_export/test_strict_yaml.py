"""Numbers in YAML are what everybody reads, or they are refused; days are the text that was written."""

import math
import re

import pytest

from rec_export import strict_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("10", 10), ("-3", -3), ("+4", 4), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1.0e+3", 1e3),
     (".inf", math.inf), ("'010'", "010"), ("53627A", "53627A"), ("085", "085"), ("2026-11-20", "2026-11-20"),
     ("2026-13-45", "2026-13-45"), ("2026-11-20 08:30", "2026-11-20 08:30"), ("2026-11-20x", "2026-11-20x")],
)  # fmt: skip
def test_plain_numbers_days_and_texts_are_read(text: str, value: object) -> None:
    found = strict_yaml.load(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["!!float abc", "!!int ''", "1" * 5000])
def test_what_is_not_what_it_looks_like_is_refused(text: str) -> None:
    with pytest.raises(strict_yaml.SlipError, match="it has a value that is not what it looks like: "):
        strict_yaml.load(f"a: {text}")


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", 8), ("053627", 22423), ("-010", -8), ("00", 0), ("1_000", 1000), ("1:30", 90), ("0x1F", 31), ("0b11", 3),
     ("1_0.5", 10.5), ("1:30.5", 90.5), ("[7, 010]", 8)],
)  # fmt: skip
def test_numbers_that_only_yaml_knows_are_refused_with_their_line(text: str, value: float) -> None:
    written = text.strip("[]").split()[-1]
    said = f"{written} in line 2 is {value} to YAML; put it into quotes if it is text, such as an id, or write {value}"
    with pytest.raises(strict_yaml.SlipError, match=re.escape(said)):
        strict_yaml.load(f"b: 1\na: {text}")
