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

    A date goes by one rename, so no reader finds half of it. One that somebody linked to another place stays.
    """
    with warned("the dates beyond the retention could not be moved to the trash"):
        ours = [date for date in recs.dates() if run_in(recs.live(date)) != UNKNOWN_RUN]
        for date in ours[: -keep.dates]:
            if date != published and not recs.live(date).is_symlink():
                discard(recs, recs.live(date), recs.live(date).name)


def empty(recs: Recs, keep: Retention) -> None:
    """Remove what has lain in the trash or among the refused runs for too long."""
    remove(aged([*recs.control.glob("trash/run_date=*/*"), *recs.control.glob("gone/*")], keep.trash_hours))
    forget_refused(recs.control, keep)


def forget_refused(control: Path, keep: Retention) -> None:
    """Remove refused runs from this machine."""
    remove(aged(control.glob("failed/*"), keep.failed_hours))


def remove(old: Iterable[Path]) -> None:
    """Remove folders, and whatever else somebody laid beside them; what cannot go keeps nothing else from it."""
    for path in old:
        with warned("what is older than the retention could not be removed"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def aged(paths: Iterable[Path], hours: float) -> list[Path]:
    """Those of the paths that were put there longer ago."""
    return [path for path in paths if time.time() - path.lstat().st_mtime > hours * HOUR]
