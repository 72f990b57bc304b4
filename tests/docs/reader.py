"""Somebody who follows a page in a folder: each block by bash, by Python or by what else reads it.

`rec-export` is the real one, but of this process: starting torch for each command would take minutes. Programs that are
not on every machine, or would change it, are those of stand_ins/; all others are the machine's own.
"""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import yaml

from rec_export.cli import run
from rec_export.config import Config
from tests.docs.blocks import ROOT, Block

STAND_INS = Path(__file__).with_name("stand_ins")


class Ended(NamedTuple):
    """How a block ended."""

    code: int
    said: str  # on both outputs


class Reader:
    """What a reader has: a folder, a machine with programs, what was exported, and the names that Python knows."""

    def __init__(self, folder: Path, machine: Path, smaller: dict[str, str]) -> None:
        """`machine` is what else there is on the disk; `smaller` says what of a text is written otherwise."""
        self.folder, self.machine, self.names = folder, machine, dict[str, Any]()
        self.written = {"/srv/shop": str(folder), "/etc/systemd/system": f"{machine}/units", **smaller}
        for name in ("bin", "units", "dags"):
            (machine / name).mkdir(parents=True)
        for program in STAND_INS.glob("[a-z]*.py"):
            (machine / "bin" / program.stem.replace("_", "-")).symlink_to(program)
        path = f"{machine}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(machine)}
        self.environment |= {"MACHINE": str(machine), "AIRFLOW_HOME": str(machine)}

    def follow(self, block: Block) -> Ended:
        """Do what a block says, or have it read by what reads such a thing, which raises what it does not like."""
        text = block.text
        for said, written in self.written.items():
            text = text.replace(said, written)
        ways: dict[str, Callable[[str], object]] = {
            "shell": self.ended, "python": self.python, "yaml": self.configuration, "crontab": self.cron,
            "dockerfile": (self.folder / "Dockerfile").write_text, "text": len,
        }  # fmt: skip
        ended = ways[block.language](text)
        return ended if isinstance(ended, Ended) else Ended(0, "")

    def bash(self, text: str) -> str:
        """What comes of commands, on both outputs; they must end well."""
        ended = self.ended(text)
        assert ended.code == 0, f"{text}\nended with {ended.code}:\n{ended.said}"
        return ended.said

    def ended(self, text: str) -> Ended:
        """How commands end; the first that fails is the last."""
        with TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as server:
            said, kept = Path(place) / "said", Path(place) / "kept"
            server.bind(f"{place}/line")  # in no long folder: an address has 107 letters at most
            server.listen()
            words = ["bash", "-e", "-c", f"{text}\nenv -0 > {kept}"]
            environment = {**self.environment, "REC_EXPORT_LINE": f"{place}/line"}
            with said.open("wb") as file:
                asked = subprocess.Popen(words, cwd=self.folder, env=environment, stdout=file, stderr=file)
                while asked.poll() is None:
                    if select.select([server], [], [], 0.02)[0]:
                        answer(server.accept()[0])
            out = said.read_text(encoding="utf-8", errors="replace")
            if asked.returncode == 0:
                self.environment = dict(pair.split("=", 1) for pair in kept.read_text().split("\0") if pair)
            return Ended(asked.returncode, out)

    def python(self, text: str) -> None:
        """Run what goes on where the Python above it ended."""
        with chdir(self.folder), patch.dict(os.environ, self.environment, clear=True):
            exec(compile(text, "a block", "exec"), self.names)

    def configuration(self, text: str) -> None:
        """Read a part of a configuration as a whole one, beside that of the folder; kubectl reads a manifest."""
        said = yaml.safe_load(text)
        if "apiVersion" in said:
            (self.folder / "manifest.yaml").write_text(text, encoding="utf-8")
            self.bash("kubectl apply -f manifest.yaml")
            return
        path = self.folder / "said.yaml"
        whole = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump({**whole, **said}), encoding="utf-8")
        Config.load(path)

    def cron(self, text: str) -> None:
        """Give lines to cron, and do now what they say for the night."""
        (self.folder / "crontab").write_text(text, encoding="utf-8")
        self.bash("crontab crontab\n" + "\n".join(line.split(maxsplit=5)[5] for line in text.splitlines()))


def answer(line: socket.socket) -> None:
    """Run the command line that the program `rec-export` of stand_ins/ was given, as if it were its process."""
    with line, line.makefile("rw") as text:
        _, (out, err), *_ = socket.recv_fds(line, 1, 2)
        asked = json.loads(text.readline())
        with (
            open(out, "w", encoding="utf-8") as stdout,
            open(err, "w", encoding="utf-8") as stderr,
            chdir(asked["folder"]),
            patch.dict(os.environ, asked["environment"], clear=True),
            patch.object(sys, "argv", ["rec-export", *asked["words"]]),
            patch.object(sys.modules["__main__"], "__package__", None),  # by which click tells how it was called
            redirect_stdout(stdout),
            redirect_stderr(stderr),
        ):
            try:
                code: object = run(asked["words"])
            except SystemExit as ended:  # the answers of completion
                code = ended.code or 0
        text.write(f"{code}\n")
