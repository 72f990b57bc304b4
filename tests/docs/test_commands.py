"""Every command line in the documents is one that the parser takes; the pages of commands are those of the parser."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.command_pages import FOLDER, pages
from rec_export.cli import PLACES, cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINES = re.compile(r"^(?: {4}|\$ |)(rec-export (?:\\\n|[^\n\\])*)$", re.MULTILINE)
INLINE = re.compile(r"`(rec-export [^`\n]+)`")
ABOVE = click.Context(cli, info_name="rec-export")


def words_of(line: str) -> list[str]:
    """The words of a command, up to what the shell does with it; letters that stand for numbers become numbers."""
    words = shlex.split(line.replace("\\\n", " "), comments=True)
    ends = [place for place, word in enumerate(words) if word in (">", ">>", "|", "&&", ";")]
    words = words[1 : min(ends, default=len(words))]
    return ["1" if word in ("I", "N") else word for word in words]


def shown() -> Iterator[tuple[str, list[str]]]:
    """The command lines in blocks of all documents, with where they stand; `...` stands for more, and is left out."""
    for path in DOCUMENTS:
        for line in LINES.findall(path.read_text(encoding="utf-8")):
            words = words_of(line) if line.partition(" ")[2].partition(" ")[0] in PLACES else []
            if words and "commands/" not in str(path):
                yield f"{path.relative_to(ROOT)}: {line}", words


def test_there_are_many_command_lines() -> None:
    assert len(list(shown())) > 50


@pytest.mark.parametrize("words", [pytest.param(words, id=where) for where, words in shown()])
def test_every_command_line_in_a_block_is_one_that_can_be_called(words: list[str]) -> None:
    name, *arguments = words
    command = cli.get_command(ABOVE, name)
    assert command is not None
    partial = "..." in arguments
    arguments = [word for word in arguments if word != "..."]
    command.make_context(name, arguments, parent=ABOVE, resilient_parsing=partial)  # raises UsageError
    assert unknown(command, arguments) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_option_named_in_a_sentence_exists(path: Path) -> None:
    wrong = []
    for line in INLINE.findall(path.read_text(encoding="utf-8")):
        name, *arguments = line.split()[1:]
        command = cli.get_command(ABOVE, name) if name in PLACES else None
        wrong += [line] if command is None and re.match(r"[a-z]", name) else []
        wrong += [f"{line}: {word}" for word in (unknown(command, arguments) if command else [])]
    assert wrong == []


def unknown(command: click.Command, arguments: list[str]) -> list[str]:
    """The options among some words that the command does not have."""
    known = {name for option in command.get_params(ABOVE) for name in (*option.opts, *option.secondary_opts)}
    said = [word.partition("=")[0].rstrip(".,") for word in arguments if re.match(r"--[a-z]", word)]
    return [word for word in said if word not in known and word != "--help"]


def test_the_pages_of_commands_are_those_that_their_command_writes() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert there == pages()


def test_the_checks_would_find_a_slip() -> None:
    command = cli.get_command(ABOVE, "score")
    assert command is not None
    assert unknown(command, ["--interaction", "x", "--k=3"]) == ["--interaction"]
    with pytest.raises(click.UsageError):
        command.make_context("score", ["bundle"], parent=ABOVE)
