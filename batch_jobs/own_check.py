"""A program of the team's own that looks at a run before it is published, and refuses it by its exit code."""

import shlex
import shutil
import subprocess
from pathlib import Path

from rec_export.errors import MissingInputError, UsageError

SHELL = set(";|&<>`$")  # what means something to a shell


def words_of(command: str | None) -> list[str]:
    """The words of a command that can be run; none where there is no command. Raises what `split` does, and
    MissingInputError, before any scoring.
    """
    words = split(command)
    if words and shutil.which(words[0]) is None:
        raise MissingInputError(f"the gate's command {words[0]!r} is not a program that can be run")
    return words


def split(command: str | None) -> list[str]:
    """A command's words, whether there is such a program here or not. Raises UsageError."""
    if command is None:
        return []
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the gate's command {command!r} cannot be split into words: {error}") from error
    read = words[1:] if words and Path(words[0]).is_absolute() else words  # a folder may be called R&D
    if set("".join(read)) & SHELL:
        raise UsageError(f"the gate's command {command!r} is not read by a shell; put what needs one into a script")
    if not words:
        raise UsageError("the gate's command is empty; name a program, or leave nightly.gates.command out")
    return words


def code_of(words: list[str], folder: Path) -> int:
    """Its exit code for the parts in a folder; its output goes where ours goes."""
    try:
        return subprocess.run([*words, str(folder)], stdout=2, check=False).returncode
    except OSError as error:
        raise MissingInputError(f"the gate's command {words[0]!r} cannot be run: {error.strerror}") from error
