"""Run every test of faults and print docs/reliability.md: python -m tests.faults.table > docs/reliability.md"""

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
Not tried: the loss of power (every file and folder is synced before the commit, and both parents after it, but no layer
that drops what was not synced has been run), NFS, and disks other than those of the machine this was made on
({machine}).
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
        code = pytest.main(["-q", "-m", "", str(Path(__file__).parent)], plugins=[collected])
    sys.stdout.write(HEAD + "\n".join(collected.rows) + "\n" + FOOT.format(machine=platform.platform(terse=True)))
    sys.exit(code)
