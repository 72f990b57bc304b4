"""The page of faults is made section by section, and a section is made anew without the others."""

from tests.faults.table import FILES, lines_of, section, title, with_section

FIRST, LAST = FILES[0], FILES[-1]


def test_a_section_made_anew_leaves_the_others() -> None:
    page = with_section("", LAST, section(LAST, ["| a | 1 | well |"], 1))
    page = with_section(page, FIRST, section(FIRST, ["| b | 1 | well |"], 1))
    page = with_section(page, LAST, section(LAST, ["| c | 1 | **FAILED** |"], 1))
    assert [lines_of(page, file) for file in FILES] == [
        ["| b | 1 | well |"],
        *([] for _ in FILES[2:]),
        ["| c | 1 | **FAILED** |"],
    ]
    assert page.index(title(FIRST)) < page.index(title(LAST)) < page.index("## What was not tried")
