"""Run the tests of faults, and write what they tell into docs/reliability.md: python -m tests.faults.table [FILE ...]

Each file of tests is a section of the page, written when its last test has ended. With names only those are made anew;
FILE::TEST makes the rows of one test anew and leaves the others of its section.
"""

import ast
import contextlib
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
FILES = (
    "tests/faults/test_kill.py",
    "tests/faults/test_kill_again.py",
    "tests/faults/test_power.py",
    "tests/faults/test_damage.py",
    "tests/faults/test_models.py",
    "tests/faults/test_clock.py",
    "tests/faults/test_readers.py",
    "tests/faults/test_executors.py",
    "tests/batch_jobs/test_executors.py",
    "tests/batch_jobs/test_ray.py",
    "tests/faults/test_cron.py",
    "tests/bad_input/test_ids.py",
    "tests/test_security.py",
)
HEAD = """# What it survives

Made by `make faults`, which runs the real command line against faults and looks at what readers find; a section alone
is made anew by the command above its table. A kill is SIGKILL just before the n-th change that the process makes to its
files (rename, create, remove, exchange, change of mode or time), for every n. After each kill readers must find the old
run whole, the new run whole, or, before a first publish and after a withdrawal, nothing; the same command must then end
well, with the bytes of an undisturbed run, no run lost, and nothing unfinished left. Each row is of a test, which fails
where its outcome is another one; it then says **FAILED** here.

"""
FOOT = """## What was not tried

The loss of power is replayed: strace records what the real command does to its files, and a model of a disk, in
tests/faults/power.py, gives what is left of them after each change: what was synced, and no more; or all names, and of
the data what was synced; or all names, and of the data that was not synced one half. Readers must then find what they
find after a kill, what was said to be done must be there, and the same command must end well. No disk was cut off its
power: one that says "synced" and lies, or a file system that tears a rename, is not in the model.

All pairs of two kills are tried by the states of the files that kills leave, as what a command does depends on these
alone: what a kill before any of its changes leaves is one more state to begin from, unless it was met before, until
there is no new one. Times, and names drawn by chance, tell no states apart. There the command is not killed: it is
stopped before each change (SIGSTOP), the files are copied, and it goes on; at the first state the copies are held
against what as many real kills leave, and must be the same.

Page checksums do not cover a part's footer: a flip there can reach a plain reader, `verify-run` finds it by the hash.

Sections that were not made here, and are by `python -m tests.faults.table FILE`: {left}.

Not tried: NFS, and disks other than those of the machine this was made on ({machine}).
"""
TOOK = re.compile(r", (\d+) min, ")
Row = tuple[str, str, str]


class Pages:
    """A plugin that collects what the tests of each file tell, and writes the section when a file is done."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep  # rows of other experiments
        self.file, self.rows, self.seconds = "", list[Row](), 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the rows of a test; one that failed or was left out says so."""
        file = report.nodeid.partition("::")[0]
        if file != self.file:
            self.write()
            self.file, self.rows, self.seconds = file, [], 0.0
        self.seconds += report.duration
        told = [value for key, value in report.user_properties if key == "table" and isinstance(value, tuple)]
        name = report.nodeid.rpartition("::")[2].replace("_", " ").removeprefix("test ")
        if report.failed:
            self.rows += [(*row[:2], f"{row[2]} **FAILED**") for row in told] or [(name, "", "**FAILED**")]
        elif report.skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.rows.append((name, "0", f"left out: {why}"))
        elif report.when == "call":
            self.rows += told

    def pytest_sessionfinish(self) -> None:
        """The last file is done."""
        self.write()

    def write(self) -> None:
        """Put the section into the page."""
        if self.rows:
            page, made = PAGE.read_text(encoding="utf-8"), [line_of(row) for row in self.rows]
            kept = [line for line in lines_of(page, self.file) if experiment(line) not in map(experiment, made)]
            took = max(1, round(self.seconds / 60))
            if self.keep and (before := TOOK.search(sections(page).get(title(self.file), ""))):
                took = int(before[1])  # all of them
            new = section(self.file, [*(kept if self.keep else []), *made], took)
            PAGE.write_text(with_section(page, self.file, new), encoding="utf-8")


def title(file: str) -> str:
    """What a file of tests claims: the first line of its docstring."""
    said = ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8"))) or file
    return said.partition("\n\n")[0].replace("\n", " ").rstrip(".")


def line_of(row: Row) -> str:
    """A row of a table."""
    return f"| {' | '.join(word.replace('|', '/') for word in row)} |"


def experiment(line: str) -> str:
    """The first cell."""
    return line.split("|")[1]


def lines_of(page: str, file: str) -> list[str]:
    """The rows that a section of the page has now."""
    lines = sections(page).get(title(file), "").splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith("| experiment |")]


def sections(page: str) -> dict[str, str]:
    """The page by its headings."""
    return dict(re.findall(r"^## ([^\n]*)\n\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))


def section(file: str, lines: list[str], minutes: int) -> str:
    """Some rows below the command that makes them, how long it took, and when that was."""
    day, table = datetime.now(UTC).date(), "\n".join(lines)
    made = f"`python -m tests.faults.table {file}`, {minutes} min, {day}:"
    return f"{made}\n\n| experiment | tried | outcome |\n|---|---|---|\n{table}\n\n"


def with_section(page: str, file: str, new: str) -> str:
    """The page with one section put in, the others as they are."""
    found = {**sections(page), title(file): new}
    body = "".join(f"## {title(name)}\n\n{found[title(name)]}" for name in FILES if title(name) in found)
    left = ", ".join(f"`{name}`" for name in FILES if title(name) not in found) or "none"
    return HEAD + body + FOOT.format(machine=platform.platform(terse=True), left=left)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(
            ["-q", "-m", "not brief", *(sys.argv[1:] or FILES)], plugins=[Pages(keep="::" in "".join(sys.argv[1:]))]
        )
    sys.exit(code)
