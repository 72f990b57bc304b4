"""How long dates, replaced runs and refused runs are kept. It comes after the commit and cannot undo it."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from batch_jobs.publish import discard, warned
from rec_export.config import Retention
from rec_export.recs import UNKNOWN_RUN, Recs, run_in

HOUR = 3600.0


def retire(recs: Recs, keep: Retention, published: str) -> None:
    """Move the dates of ours beyond the newest `keep.dates` to the trash, but not the one just published.

    A date goes by one rename, so no reader finds half of it.
    """
    with warned("the dates beyond the retention could not be moved to the trash"):
        ours = [date for date in recs.dates() if run_in(recs.live(date)) != UNKNOWN_RUN]
        for date in ours[: -keep.dates]:
            if date != published:
                discard(recs, recs.live(date), recs.live(date).name)


def empty(recs: Recs, keep: Retention) -> None:
    """Remove what has lain in the trash or among the refused runs for too long."""
    with warned("what is older than the retention could not be removed"):
        gone = [path for where in ("trash/run_date=*/*", "gone/*") for path in recs.control.glob(where)]
        for folder in aged(gone, keep.trash_hours):
            shutil.rmtree(folder)
        forget_refused(recs.control, keep)


def forget_refused(control: Path, keep: Retention) -> None:
    """Remove refused runs from this machine."""
    for folder in aged(control.glob("failed/*"), keep.failed_hours):
        shutil.rmtree(folder)


def aged(folders: Iterable[Path], hours: float) -> list[Path]:
    """Those of the folders that were put there longer ago."""
    return [path for path in folders if time.time() - path.stat().st_mtime > hours * HOUR]
