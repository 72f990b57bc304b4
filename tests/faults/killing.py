"""Run the real command line in a process that gets a signal just before its n-th change to the files.

A server process imports torch once and forks for every command, so that thousands of kills take minutes. The n-th
change is counted by Python's own audit events (PEP 578): the product has no hook for its tests, only the one event
that `rec_export.swap` raises for the system call that Python does not know.
"""

import gc
import itertools
import json
import mmap
import os
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from signal import SIG_DFL, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGSTOP, SIGTERM, default_int_handler, signal
from typing import Any, NamedTuple, Self, final

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.utime", "os.chmod", "rec_export.renameat2"}
EVERY = 0  # change, where one of them is named
ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a command ended."""

    code: int  # negative: the signal that killed it
    changes: int  # to the files, the one that a signal forestalled among them
    said: str


@final
class Forge:
    """The server."""

    def __init__(self, users_per_part: int, **environment: str) -> None:
        words = [sys.executable, "-m", "tests.faults.killing", str(users_per_part)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        self.server = subprocess.Popen(words, stdin=-1, stdout=-1, text=True, cwd=ROOT, env=environment)

    def warm(self, *arguments: object) -> None:
        """Run `rec-export ARGUMENTS` in the server itself, so that commands find loaded what it loads."""
        (ended,) = self.ask(arguments, times=0)
        assert ended.code == 0

    def run(
        self, *arguments: object, at: int | None = None, sent: int = SIGKILL, after: float | None = None, zone: str = ""
    ) -> Ended:
        """Run `rec-export ARGUMENTS` in a time zone.

        Send a signal before its `at`-th change, or kill it `after` so many seconds.
        """
        (ended,) = self.ask(arguments, at=at, sent=sent, after=after, zone=zone)
        return ended

    def race(self, times: int, *arguments: object) -> list[Ended]:
        """Run `rec-export ARGUMENTS` so many times at once."""
        return self.ask(arguments, times=times)

    def beside_stopped(self, at: int, *arguments: object) -> list[Ended]:
        """Stop the command before its `at`-th change, run another like it, let the first go on: how both ended."""
        return self.ask(arguments, at=at, sent=SIGSTOP)

    def copied(self, source: Path, into: Path, *arguments: object) -> tuple[Ended, list[Path]]:
        """Run `rec-export ARGUMENTS` to its end; the files in `source` before each of its changes, copied to INTO-1, ..

        The process stands still meanwhile. So a copy is what SIGKILL leaves there: what it wrote, and no more.
        """
        (ended,) = self.ask(arguments, at=EVERY, sent=SIGSTOP, source=str(source), into=str(into))
        return ended, [Path(f"{into}-{number}") for number in range(1, ended.changes + 1)]

    def ask(self, arguments: tuple[object, ...], **asked: object) -> list[Ended]:
        """What the server answers."""
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps({"argv": [str(word) for word in arguments], **asked}) + "\n")
        self.server.stdin.flush()
        return [Ended(*one) for one in json.loads(self.server.stdout.readline())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *anything: object) -> None:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


def serve(users_per_part: int) -> None:
    """Answer each line of stdin with how its commands ended."""
    for name in ("batch_jobs.night", "torch._dynamo"):  # which building a model needs three seconds to import
        import_module(name)
    import_module("batch_jobs.parts").USERS_PER_PART = users_per_part  # type: ignore[attr-defined]
    for line in sys.stdin:
        gc.freeze()  # so that children copy less of this process
        answer = answered(**json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def answered(
    argv: list[str], times: int = 1, at: int | None = None, sent: int = SIGKILL, after: float | None = None,
    zone: str = "", source: str = "", into: str = "",
) -> list[Ended]:  # fmt: skip
    """Run a command so many times at once, once more beside it where it is stopped; for no times, in this process.

    `into`: copy `source` wherever it is stopped.
    """
    os.environ["TZ"] = zone or "UTC"
    time.tzset()
    if times == 0:
        from rec_export.cli import run

        with redirect_stdout(sys.stderr):
            return [Ended(run(argv), 0, "")]
    children = [started(argv, at, sent) for _ in range(times)]
    if into:
        copy_wherever_stopped(children[0], source, into)
    elif sent == SIGSTOP:
        os.waitpid(children[0].number, os.WUNTRACED)
        other = ended(started(argv, None, sent), None)
        os.kill(children[0].number, SIGCONT)
        return [ended(children[0], None), other]
    return [ended(child, after) for child in children]


class Child(NamedTuple):
    """A process, the pipe that it writes to, and where it counts its changes to the files."""

    number: int
    reading: int
    changes: mmap.mmap


def started(argv: list[str], at: int | None, sent: int) -> Child:
    """Run one command in a child."""
    reading, writing = os.pipe()
    changes = mmap.mmap(-1, mmap.PAGESIZE)
    number = os.fork()
    if number == 0:
        os.close(reading)
        command(argv, at, sent, writing, changes)
    os.close(writing)
    return Child(number, reading, changes)


def copy_wherever_stopped(child: Child, source: str, into: str) -> None:
    """Copy the folder `source` whenever the child stops itself, and let it go on; until it has ended."""
    for number in itertools.count(1):
        told = os.waitid(os.P_PID, child.number, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        if told is None or told.si_code != os.CLD_STOPPED:
            return
        os.waitid(os.P_PID, child.number, os.WSTOPPED)
        shutil.copytree(source, f"{into}-{number}")
        os.kill(child.number, SIGCONT)


def ended(child: Child, after: float | None) -> Ended:
    """Wait for a child; kill it `after` so many seconds."""
    if after is not None:
        time.sleep(after)
        os.kill(child.number, SIGKILL)
    with os.fdopen(child.reading, "rb") as pipe:
        said = pipe.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child.number, 0)[1])
    with child.changes:
        return Ended(code, int.from_bytes(child.changes[:4], "little"), said)


def command(argv: list[str], at: int | None, sent: int, writing: int, counted: mmap.mmap) -> None:
    """The child: it never returns."""
    changes = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event in CHANGES or (event == "open" and is_writing(arguments)):
            changes += 1
            counted[:4] = changes.to_bytes(4, "little")
            if at in (changes, EVERY):
                os.kill(os.getpid(), sent)

    os.dup2(writing, 1)
    os.dup2(writing, 2)
    from rec_export.cli import run, terminated

    signal(SIGTERM, terminated)  # as main() has it
    signal(SIGINT, default_int_handler)  # which who starts tests in the background has ignored
    signal(SIGHUP, SIG_DFL)
    sys.addaudithook(count)
    try:
        code = run(argv)
    except SystemExit as error:
        code = int(error.code or 0)
    sys.stdout.flush()
    os._exit(code)


def is_writing(arguments: tuple[Any, ...]) -> bool:
    """Whether `open` was called to change a file that is none of the cache's or the system's."""
    path, _, flags = arguments
    writes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return writes and isinstance(path, str) and "recs" in path


if __name__ == "__main__":
    serve(int(sys.argv[1]))
