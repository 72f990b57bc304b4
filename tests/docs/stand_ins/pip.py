#!/usr/bin/env -S python3 -P
"""`pip install -c FILE PROJECT[EXTRA]`: all that the project asks for must be in the file, and here in that version.

Real pip runs in `make install`, and where the page of the first hour is followed (test_long_blocks.py).
"""

import argparse
import re
import sys
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

parser = argparse.ArgumentParser()
parser.add_argument("verb", choices=["install"])
parser.add_argument("-c", required=True, type=Path)
parser.add_argument("--no-cache-dir", action="store_true")
parser.add_argument("project")
options = parser.parse_args()
asked = re.fullmatch(r"(?P<folder>[^\[]+)(\[(?P<extra>\w+)\])?", options.project)
setup = ConfigParser()
if asked is None or not setup.read(Path(asked["folder"]) / "setup.cfg"):
    sys.exit(f"{options.project} is no project")
pins = [Requirement(line.partition("#")[0]) for line in options.c.read_text().splitlines() if line[:1].isalnum()]
pinned = {canonicalize_name(pin.name): pin.specifier for pin in pins}
lines = setup["options"]["install_requires"]
lines += setup["options.extras_require"][asked["extra"]] if asked["extra"] else ""
for line in lines.splitlines():
    if not line or line.startswith("#"):
        continue
    wanted = Requirement(line)
    if wanted.marker is not None and not wanted.marker.evaluate():
        continue
    here = version(wanted.name)
    if here not in wanted.specifier or here not in pinned[canonicalize_name(wanted.name)]:
        sys.exit(f"{wanted} is asked for and pinned as {pinned[canonicalize_name(wanted.name)]}, but here is {here}")
