"""A file that a night rewrites while it works, so that a watchdog can tell work from a process that hangs."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import final

from batch_jobs.publish import warned
from rec_export.files import write_whole
from rec_export.record import Record

SECONDS = 5.0  # between two beats of one step; a part takes longer


@final
class Beat(Record):
    """What the file says."""

    at: str  # UTC, ISO 8601
    process: int
    run_date: str
    step: str  # begun, scoring, checking, ended
    done: int = 0  # of the step's `total`
    total: int = 0
    exit_code: int | None = None  # once it has ended


@final
class Heart:
    """Beats into a file when a step begins and every few seconds of it; into nothing where no file is named."""

    def __init__(self, path: Path | None, run_date: str) -> None:
        self.path, self.run_date = path, run_date
        self.step, self.last = "", 0.0
        self.beat("begun")

    def beat(self, step: str, done: int = 0, total: int = 0, exit_code: int | None = None) -> None:
        """Say how far it is. A disk that refuses is warned of."""
        now = time.monotonic()
        if self.path is None or (step == self.step and now - self.last < SECONDS):
            return
        self.step, self.last = step, now
        beat = Beat(
            at=datetime.now(UTC).isoformat(timespec="seconds"), process=os.getpid(), run_date=self.run_date, step=step,
            done=done, total=total, exit_code=exit_code,
        )  # fmt: skip
        with warned("the heartbeat could not be written"):
            write_whole(self.path, beat.as_json())
