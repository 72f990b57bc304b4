#!/usr/bin/env -S python3 -P
"""`crontab -l`, `crontab FILE` and `crontab -`: takes lines that cron takes and the shell can read."""

import os
import re
import subprocess
import sys
from pathlib import Path

KEPT = Path(os.environ["MACHINE"]) / "crontab"
TIME = r"(\*|\d+(-\d+)?)(/\d+)?(,\d+(-\d+)?)*"
ENTRY = re.compile(rf"(?:{TIME}\s+){{5}}(?P<command>\S.*)")


def wrong(line: str) -> str | None:
    """What cron has against a line."""
    entry = ENTRY.fullmatch(line)
    if entry is None:
        return None if re.fullmatch(r"\s*|\s*#.*|\w+\s*=.*", line) else "neither a time with a command nor a setting"
    command = re.sub(r"(?<!\\)%", "\n", entry["command"]).replace("\\%", "%")  # as cron does
    read = subprocess.run(["/bin/sh", "-n", "-c", command.partition("\n")[0]], capture_output=True, text=True)
    return read.stderr or None


def main(argument: str) -> None:
    """Show or take a table."""
    if argument == "-l":
        if not KEPT.exists():
            sys.exit("no crontab for you")
        sys.stdout.write(KEPT.read_text())
        return
    lines = (sys.stdin.read() if argument == "-" else Path(argument).read_text()).splitlines(keepends=True)
    for line in lines:
        if why := wrong(line.rstrip("\n")) or ("" if line.endswith("\n") else "its end is missing"):
            sys.exit(f"crontab: {line!r}: {why}")
    if not any(ENTRY.match(line) for line in lines):
        sys.exit("crontab: nothing is to be done at any time")
    KEPT.write_text("".join(lines))


main(*sys.argv[1:])
