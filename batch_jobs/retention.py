"""How long dates, replaced runs and refused runs are kept. It comes after the commit and cannot undo it."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from batch_jobs.publish import discard, warned
from rec_export.config import Retention
from rec_export.recs import Recs

HOUR = 3600.0


def sweep(recs: Recs, keep: Retention) -> None:
    """Move dates beyond the newest `keep.dates` to the trash, and empty trash and failures by their age.

    A date goes by one rename, so no reader finds half of it.
    """
    with warned("what is older than the retention could not be removed"):
        for date in recs.dates()[: -keep.dates]:
            discard(recs, recs.live(date), recs.live(date).name)
        old = aged(recs.control.glob("trash/run_date=*/*"), keep.trash_hours)
        for folder in [*old, *aged(recs.control.glob("failed/*"), keep.failed_hours)]:
            shutil.rmtree(folder)


def aged(folders: Iterable[Path], hours: float) -> list[Path]:
    """Those of the folders that were put there longer ago."""
    return [path for path in folders if time.time() - path.stat().st_mtime > hours * HOUR]
