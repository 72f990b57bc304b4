#!/usr/bin/env -S python3 -P
"""`systemctl enable --now`, `list-timers` and `start`, of units that lie where systemd looks and find favour with it.

A service that is started is run until it ends, as ExecStart says, and what it writes goes to the journal.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

MACHINE = Path(os.environ["MACHINE"])
UNITS, WANTED, JOURNAL = MACHINE / "units", MACHINE / "wanted", MACHINE / "journal"


def unit(name: str) -> RawConfigParser:
    """A unit, which must lie where systemd looks; systemd's own program verifies it, where there is one."""
    if not (UNITS / name).is_file():
        sys.exit(f"Unit {name} could not be found.")
    if shutil.which("systemd-analyze"):
        words = ["systemd-analyze", "verify", str(UNITS / name)]
        said = subprocess.run(words, capture_output=True, text=True, check=False)
        if said.returncode or name in said.stderr:
            sys.exit(f"{said.stderr}systemd-analyze ended with {said.returncode}")
    read = RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # so the library's documentation has it
    read.read(UNITS / name)
    return read


def enable(name: str, now: bool) -> None:
    """To be started by what wants it, and with `--now` at once."""
    WANTED.mkdir(exist_ok=True)
    (WANTED / name).write_text(unit(name)["Install"]["WantedBy"])
    if now and name.endswith(".timer"):
        unit(name.replace(".timer", ".service"))


def list_timers(name: str) -> None:
    """When a timer that was enabled comes."""
    if not (WANTED / name).exists():
        sys.exit("0 timers listed.")
    when = unit(name)["Timer"]["OnCalendar"]
    if shutil.which("systemd-analyze"):
        subprocess.run(["systemd-analyze", "calendar", when], check=True, stdout=subprocess.DEVNULL)
    sys.stdout.write(f"{when} {name}\n")


def start(name: str) -> None:
    """Run a service."""
    service = unit(name)["Service"]
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(service["ExecStart"])]
    JOURNAL.mkdir(exist_ok=True)
    with (JOURNAL / name).open("a") as journal:
        code = subprocess.run(words, stdout=journal, stderr=journal, check=False).returncode
        journal.write(f"{name}: ended with {code}\n")
    sys.exit(f"Job for {name} failed:\n{(JOURNAL / name).read_text()}" if code else None)


parser = argparse.ArgumentParser()
verbs = parser.add_subparsers(dest="verb", required=True)
for verb in ("enable", "list-timers", "start"):
    verbs.add_parser(verb).add_argument("name")
verbs.choices["enable"].add_argument("--now", action="store_true")
options = parser.parse_args()
if options.verb == "enable":
    enable(options.name, options.now)
elif options.verb == "list-timers":
    list_timers(options.name)
else:
    start(options.name)
