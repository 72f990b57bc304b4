#!/usr/bin/env -S python3 -P
"""`sbatch --wrap`: each task of the array by bash, one after another and at once, after the job it depends on."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

JOBS = Path(os.environ["MACHINE"]) / "jobs"


def tasks(array: str | None) -> list[dict[str, str]]:
    """The variables of each task: of an array `FIRST-LAST`, or of a single job."""
    if array is None:
        return [{}]
    first, last = map(int, array.split("-"))
    return [{"SLURM_ARRAY_TASK_ID": str(task)} for task in range(first, last + 1)]


def main() -> None:
    """Run a job; one that depends on another wants that to have ended well."""
    parser = argparse.ArgumentParser()
    for flag in ("--parsable", "--requeue"):
        parser.add_argument(flag, action="store_true")
    for option in ("--array", "--dependency", "--gpus-per-task", "--wrap"):
        parser.add_argument(option, required=option == "--wrap")
    options = parser.parse_args()
    JOBS.mkdir(exist_ok=True)
    if options.dependency is not None:
        kind, _, before = options.dependency.partition(":")
        if kind != "afterok" or not (JOBS / before).is_file():
            sys.exit(f"sbatch: error: Job dependency problem: {options.dependency}")
    for task in tasks(options.array):
        subprocess.run(["bash", "-c", options.wrap], env={**os.environ, **task}, stdout=sys.stderr, check=True)
    job = JOBS / str(len(list(JOBS.iterdir())) + 1)
    job.touch()  # it ended well, or we had not come here
    sys.stdout.write(f"{job.name}\n" if options.parsable else f"Submitted batch job {job.name}\n")


main()
