"""Run the real command line in a process that is killed just before its n-th change to the files.

A server process imports torch once and forks for every command, so that hundreds of kills take minutes. The n-th
change is counted by Python's own audit events (PEP 578): the product has no hook for its tests, only the one event
that `rec_export.swap` raises for the system call that Python does not know.
"""

import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self, final

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.utime", "rec_export.renameat2"}
ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a command ended."""

    code: int  # negative: the signal that killed it
    changes: int  # to the files, if it was not killed
    said: str


@final
class Forge:
    """The server."""

    def __init__(self, users_per_part: int) -> None:
        words = [sys.executable, "-m", "tests.faults.killing", str(users_per_part)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(words, stdin=-1, stdout=-1, text=True, cwd=ROOT, env=environment)

    def run(self, *arguments: object, kill_at: int | None = None, after: float | None = None) -> Ended:
        """Run `rec-export ARGUMENTS`; kill it before its `kill_at`-th change, or `after` so many seconds."""
        (ended,) = self.ask(argv=[str(word) for word in arguments], kill_at=kill_at, after=after, times=1)
        return ended

    def race(self, times: int, *arguments: object) -> list[Ended]:
        """Run `rec-export ARGUMENTS` so many times at once."""
        return self.ask(argv=[str(word) for word in arguments], kill_at=None, after=None, times=times)

    def ask(self, **asked: Any) -> list[Ended]:
        """What the server answers."""
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        return [Ended(**one) for one in json.loads(self.server.stdout.readline())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *anything: object) -> None:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


def serve(users_per_part: int) -> None:
    """Answer each line of stdin with how its command ended."""
    for name in ("batch_jobs.night", "torch._dynamo"):  # which building a model needs three seconds to import
        import_module(name)
    import_module("batch_jobs.parts").USERS_PER_PART = users_per_part  # type: ignore[attr-defined]
    for line in sys.stdin:
        asked = json.loads(line)
        after = asked.pop("after")
        children = [started(asked["argv"], asked["kill_at"]) for _ in range(asked["times"])]
        sys.stdout.write(json.dumps([ended(child, after)._asdict() for child in children]) + "\n")
        sys.stdout.flush()


class Child(NamedTuple):
    """A process, and the pipe that it writes to."""

    number: int
    reading: int


def started(argv: list[str], kill_at: int | None) -> Child:
    """Run one command in a child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        command(argv, kill_at, writing)
    os.close(writing)
    return Child(child, reading)


def ended(child: Child, after: float | None) -> Ended:
    """Wait for a child; kill it `after` so many seconds."""
    if after is not None:
        time.sleep(after)
        os.kill(child.number, signal.SIGKILL)
    with os.fdopen(child.reading, "rb") as pipe:
        said = pipe.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child.number, 0)[1])
    *lines, last = said.rsplit("\n", 1)
    return Ended(code, int(last) if last.isdigit() else 0, "".join(lines))


def command(argv: list[str], kill_at: int | None, writing: int) -> None:
    """The child: it never returns."""
    changes = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event in CHANGES or (event == "open" and is_writing(arguments)):
            changes += 1
            if changes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    os.dup2(writing, 1)
    os.dup2(writing, 2)
    from rec_export.cli import run

    sys.addaudithook(count)
    code = run(argv)
    sys.stdout.flush()
    os.write(writing, f"\n{changes}".encode())
    os._exit(code)


def is_writing(arguments: tuple[Any, ...]) -> bool:
    """Whether `open` was called to change a file that is none of the cache's or the system's."""
    path, _, flags = arguments
    writes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return writes and isinstance(path, str) and "recs" in path


if __name__ == "__main__":
    serve(int(sys.argv[1]))
