#!/usr/bin/env -S python3 -P
"""DuckDB's program, by its package: `duckdb -c QUERY`."""

import argparse
import sys

import duckdb

parser = argparse.ArgumentParser()
parser.add_argument("-c", required=True)
sys.stdout.write(f"{duckdb.connect().execute(parser.parse_args().c).df()}\n")
