#!/usr/bin/env -S python3 -P
"""`docker build -t TAG FOLDER`: its Dockerfile must be there, with a Python that will do and files that there are.

RUN is done by bash on a copy of what was copied, and only where it names no other place of the machine.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

PYTHONS = "3.11", "3.12", "3.13"
ROOT = r"(?<![\w.-])/"  # where an absolute path begins


def build(folder: Path, image: Path) -> None:
    """Do what the Dockerfile of a folder says; `image` is the root of what is made."""
    copied: list[str] = []
    for line in (folder / "Dockerfile").read_text().splitlines():
        instruction, _, said = line.partition(" ")
        if instruction == "FROM" and re.fullmatch(rf"python:({'|'.join(PYTHONS)})-slim", said):
            continue
        if instruction == "COPY":
            source, place = said.split()
            shutil.copytree(folder / source, image / place.lstrip("/"))
            copied.append(place)
        elif instruction == "RUN":
            if not all(place.startswith(tuple(copied)) for place in re.findall(rf"{ROOT}\S*", said)):
                sys.exit(f"{line}: names what is not in the image")
            subprocess.run(["bash", "-e", "-c", re.sub(ROOT, f"{image}/", said)], check=True)
        elif not (instruction == "USER" and said.isdecimal()):
            sys.exit(f"{line}: not understood")


parser = argparse.ArgumentParser()
parser.add_argument("verb", choices=["build"])
parser.add_argument("-t", required=True)
parser.add_argument("folder", type=Path)
with TemporaryDirectory() as root:
    build(parser.parse_args().folder, Path(root))
