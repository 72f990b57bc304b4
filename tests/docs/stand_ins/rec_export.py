#!/usr/bin/env -S python3 -PS
"""Hands the command line to the test that started it (tests/docs/reader.py), which has torch loaded."""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as line, line.makefile("rw") as text:
    line.connect(os.environ["REC_EXPORT_LINE"])
    socket.send_fds(line, [b"."], [1, 2])
    asked = {"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
    text.write(json.dumps(asked) + "\n")
    text.flush()
    sys.exit(int(text.readline()))
