"""What the documents say is true of the code."""

import re
from pathlib import Path

import pytest

from docs.config_page import page
from rec_export.cli import PLACES
from rec_export.config import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_page_of_the_configuration_is_the_one_its_command_prints() -> None:
    assert (ROOT / "docs" / "config.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_names_exists(path: Path) -> None:
    named = set(re.findall(r"^ {4}rec-export ([a-z][a-z0-9-]*)", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= set(PLACES)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_page_that_a_page_points_to_exists(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_a_configuration(path: Path) -> None:
    assert Config.load(path).data.interactions.path.parent == ROOT / "examples" / "data" / path.stem
