#!/usr/bin/env -S python3 -P
"""`journalctl -u UNIT`: what services wrote that stand_ins/systemctl.py started."""

import argparse
import os
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-u", required=True)
journal = Path(os.environ["MACHINE"]) / "journal" / parser.parse_args().u
sys.stdout.write(journal.read_text())
