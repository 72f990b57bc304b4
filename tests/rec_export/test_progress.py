"""On a terminal a person sees what is done and what is left of every step; elsewhere nothing."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from rich.progress import Task

from rec_export.progress import SCREEN, Left, Terminal, bar, in_parts, measured, passed, starting
from tests.conftest import command

TINY = "--set", "model={name: pmf, dim: 2}", "--set", "training.epochs=1"


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    """As without --quiet."""
    caplog.set_level("INFO", "rec_export")


def terminal() -> tuple[io.StringIO, Terminal]:
    """What a person sees, and where to write it."""
    screen = io.StringIO()
    return screen, Terminal(file=screen, force_terminal=True, width=80)


def completed() -> list[float]:
    """How far the rows on the terminal are, the outermost first."""
    screen = SCREEN.get()
    assert screen is not None
    screen.refresh()
    return [task.completed for task in screen.tasks]


def test_a_step_inside_a_step_has_its_row_below_and_leaves_it_when_it_ends() -> None:
    screen, console = terminal()
    with in_parts("reading", 3, console):
        for _ in bar(range(2), 2, "parts", console):
            shown = screen.getvalue()
        completed()
        last = screen.getvalue().rpartition("reading")[2]
    assert ("reading" in shown, "0/3" in shown, "0 s" in shown, "parts" in shown, "0/2" in shown) == (True,) * 5
    assert ("0/3" in last, "parts" in last) == (True, False)
    assert seen(screen.getvalue()) == []


def seen(written: str) -> list[str]:
    """The lines that a terminal shows in the end, as far as rich writes to one."""
    lines, at = [""], 0
    for step in re.split(r"(\n|\r|\x1b\[[0-9;?]*[A-Za-z])", written):
        if step == "\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif step == "\x1b[2K":
            lines[at] = ""
        elif re.fullmatch(r"\x1b\[\d*A", step):
            at -= int(step[2:-1] or 1)
        elif not step.startswith("\x1b") and step != "\r":
            lines[at] += step
    return [line for line in lines if line.strip()]


def test_no_line_is_lost_or_doubled_while_rows_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, console = terminal()
    monkeypatch.setattr("rec_export.progress.DRAWN", 1e-5)  # seconds: as often as can be
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # and the threads take turns in the middle of everything
    try:
        for number in bar(range(200), 200, "outer", console):
            with in_parts("inner", 2, console):
                passed()
                sys.stderr.write(f"line {number}, of which there are many\n")
            sys.stderr.write(f"between {number}\n")
    finally:
        sys.setswitchinterval(before)
    expected = [line for n in range(200) for line in (f"line {n}, of which there are many", f"between {n}")]
    assert seen(screen.getvalue()) == expected


def test_parts_are_counted_by_the_step_that_goes_on_and_by_no_other() -> None:
    _, console = terminal()
    passed()  # of nothing
    with in_parts("outer", 3, console):
        passed()
        with in_parts("inner", 2, console):
            passed(2)
            assert completed() == [1, 2]
            for _ in bar(range(1), 1, "steps", console):
                passed()  # steps are counted by themselves
                assert completed() == [1, 2, 0]
        passed()
        assert completed() == [2]


def test_a_step_that_goes_on_by_itself_is_asked_how_far_it_is() -> None:
    _, console = terminal()
    done = 0
    with measured("vectors", 10, lambda: done, console):
        done = 4
        assert completed() == [4]
        done = 12  # more than was foretold
        assert completed() == [10]


def test_a_row_leaves_when_its_step_fails() -> None:
    for _ in range(2):  # the second one would be refused if the first were still there
        _, console = terminal()
        with pytest.raises(ValueError, match="broken"), in_parts("reading", 1, console), in_parts("a", 1, console):
            raise ValueError("broken")


def test_what_is_left_follows_from_what_was_done_and_runs_down_until_the_next_part() -> None:
    clock, left = [0.0], Left()
    task = Task(id=0, description="", total=4, completed=0, _get_time=clock.pop)  # type: ignore[arg-type]
    task.start_time = 0.0
    shown = []
    for now, task.completed in ((3.0, 0), (10.0, 1), (14.0, 1), (50.0, 1), (60.0, 3)):
        clock[:] = [now]
        shown.append(left.render(task).plain)
    assert shown == ["3 s", "0:00:30 left", "0:00:26 left", "soon", "0:00:20 left"]


def test_a_start_is_told_by_the_modules_that_it_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    _, console = terminal()
    monkeypatch.setattr("rec_export.progress.Terminal", lambda **_: console)
    with starting(1000):
        completed()  # which may bring some of its own
        before = completed()[0]
        monkeypatch.setitem(sys.modules, "one", ModuleType("one"))
        monkeypatch.setitem(sys.modules, "two", ModuleType("two"))
        assert completed() == [before + 2]


@pytest.mark.parametrize("name", ["train", "score"])
def test_a_start_brings_about_as_many_modules_as_the_command_foretells(name: str) -> None:
    place, words = {
        "train": ("trainers.commands", ["nowhere.yaml", "--out", "x"]),
        "score": ("batch_jobs.commands", ["nowhere", "--interactions", "nowhere", "--out", "x"]),
    }[name]
    code = f"""
import sys
from contextlib import contextmanager
import rec_export.progress as progress
import {place} as commands

@contextmanager
def starting(modules):
    before = len(sys.modules)
    yield
    print((len(sys.modules) - before) / modules, file=sys.stdout, flush=True)

progress.starting = starting
commands.{name}.main({words!r}, standalone_mode=False)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout
    assert 0.8 < float(found.splitlines()[0]) < 1.25


def test_a_terminal_is_told_of_every_step_of_a_training(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    err = command("train", shop / "config.yaml", "--out", tmp_path / "seen", *TINY).err
    steps = (
        "starting",
        "reading interactions.parquet",
        "planning",
        "putting the tables together",
        "epoch 1",
        "validating epoch 1",
        "writing the checkpoint",
    )
    assert [step for step in steps if step not in err] == []
    assert "search, epoch 1 of at most 1: loss" in err  # above the rows


def test_nobody_else_is(shop: Path, tmp_path: Path) -> None:
    code, out, err = command("train", shop / "config.yaml", "--out", tmp_path / "quiet", *TINY)
    assert code == 0
    assert [line.partition(",")[0] for line in err.splitlines() if "held-out likings" not in line] == [
        "search",
        "refit",
    ]
    assert "\x1b" not in out + err


INTERRUPTED = """
import os, signal, sys, threading, time
from rec_export import cli, progress
def rows(*anything, **options):
    threading.Timer(float(sys.argv[1]), lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    while True:
        with progress.in_parts("outer", 1):
            progress.passed()
cli.cli.main = rows
sys.exit(cli.run([]))
"""


def test_whoever_interrupts_has_the_cursor_back() -> None:
    for moment in range(8):
        told = bytearray()

        def keep(terminal: int, told: bytearray = told) -> bytes:
            read = os.read(terminal, 1 << 16)
            told.extend(read)
            return read

        words = [sys.executable, "-c", INTERRUPTED, str(0.1 + 0.013 * moment)]
        code = os.waitstatus_to_exitcode(pty.spawn(words, keep))
        shown = told.decode()
        assert (code, shown.rstrip().endswith("Error: interrupted")) == (130, True)
        assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
