"""The page in a real browser: it loads, shows every figure at both widths, in light and dark, and sorts its tables."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import done

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; apt-get install chromium brings one"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of everything."""
    out = tmp_path_factory.mktemp("browser") / "report.html"
    done("report", gallery, "--out", out)
    return out


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_shows_all_figures_without_an_error_or_a_sideways_scroll(
    browser: Any, report: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    for event in ("console", "pageerror", "dialog", "requestfailed"):
        page.on(event, lambda told: said.append(str(told)))
    page.goto(report.as_uri())
    assert said == []
    figures = page.locator("figure svg")
    boxes = [figures.nth(place).bounding_box() for place in range(figures.count())]
    assert len(boxes) == 21
    assert all(box["width"] > 250 and box["height"] > 60 and box["x"] + box["width"] <= width for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor]"
    )
    assert (brightness(ink) > brightness(paper)) == (scheme == "dark")
    assert page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
    page.close()


def brightness(colour: str) -> int:
    """Of a colour such as rgb(251, 251, 249)."""
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_tables_are_sorted_by_a_click_and_by_the_keyboard(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    table = page.locator("#parity table").first
    places = [name.strip(" ↕") for name in table.locator("thead th").all_inner_texts()]
    column = places.index("cases")

    def cases() -> list[int]:
        return [
            int(row.replace(",", "")) for row in table.locator(f"tbody td:nth-child({column + 1})").all_inner_texts()
        ]

    head = table.locator("thead th").nth(column)
    head.locator("button").click()
    assert cases() == sorted(cases())
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").press("Enter")
    assert cases() == sorted(cases(), reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    assert len(set(cases())) > 1
    page.close()


def test_a_table_that_is_cut_says_so_and_keeps_its_first_column(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(report.as_uri())
    hint = "(table) => getComputedStyle(table.querySelector('.caption'), '::after').content"
    cards = [page.locator("div.table").nth(place) for place in range(page.locator("div.table").count())]
    cut = [
        card.evaluate("(e) => { const s = e.lastElementChild; return s.scrollWidth > s.clientWidth }") for card in cards
    ]
    assert any(cut)
    assert ["Scroll sideways" in card.evaluate(hint) for card in cards] == cut
    card = cards[cut.index(True)]
    card.locator(".scroll").evaluate("(scroll) => { scroll.scrollLeft = 200 }")
    first, whole = card.locator("tbody td").first.bounding_box(), card.bounding_box()
    assert abs(first["x"] - whole["x"]) < 3
    page.close()
