#!/usr/bin/env -S python3 -P
"""`zstd -d`, as tar asks it for an archive."""

import sys

import pyarrow as pa

if sys.argv[1:] != ["-d"]:
    sys.exit(f"zstd: {sys.argv[1:]}: not understood")
with pa.CompressedInputStream(sys.stdin.buffer, "zstd") as archive:
    sys.stdout.buffer.write(archive.read())
