"""Run every test of faults and print docs/reliability.md: python -m tests.faults.table > docs/reliability.md

With names of files or tests it runs those alone, and prints their rows.
"""

import contextlib
import platform
import sys
from pathlib import Path

import pytest

HEAD = """# What it survives

Made by `make faults`, which runs the real command line against faults and looks at what readers find. A kill is SIGKILL
just before the n-th change that the process makes to its files (rename, create, remove, exchange), for every n. After
each kill readers must find the old run whole, the new run whole, or, before a first publish and after a withdrawal,
nothing; the same command must then end well, with the bytes of an undisturbed run, no run lost, and nothing unfinished
left.

Page checksums do not cover a part's footer: a flip there can reach a plain reader, `verify-run` finds it by the hash.

| experiment | tried | outcome |
|---|---|---|
"""
FOOT = """
The loss of power is replayed: strace records what the real command does to its files, and a model of a disk, in
tests/faults/power.py, gives what is left of them after each change: what was synced, and no more; or all names, and of
the data what was synced. Readers must then find what they find after a kill, what was said to be done must be there,
and the same command must end well. No disk was cut off its power: one that says "synced" and lies, or a file system
that tears a rename, is not in the model.

Not tried: NFS, and disks other than those of the machine this was made on ({machine}).
"""


class Rows:
    """A plugin that collects what the tests tell."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the rows of a test that ran; one that failed says so."""
        if report.when == "call":
            found = [value for key, value in report.user_properties if key == "table"]
            mark = "" if report.passed else " **FAILED**"
            self.rows += [f"| {' | '.join(row)}{mark} |" for row in found if isinstance(row, tuple)]


if __name__ == "__main__":
    collected = Rows()
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(["-q", "-m", "", *(sys.argv[1:] or [str(Path(__file__).parent)])], plugins=[collected])
    rows = "\n".join(collected.rows) + "\n"
    sys.stdout.write(rows if sys.argv[1:] else HEAD + rows + FOOT.format(machine=platform.platform(terse=True)))
    sys.exit(code)
