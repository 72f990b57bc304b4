"""rec-export: from an interaction log to recommendation files that can be trusted."""

from pathlib import Path

__version__ = "0.1.0"


def recommendations(root: str | Path, run_date: str | None = None) -> list[Path]:
    """The Parquet files of one published run, each verified against the run's manifest; of the newest date, or another.

    Pass the list to anything that reads Parquet. A run that is published anew meanwhile moves away: where a reader
    then misses a file, call again. Raises MissingInputError or DataError (rec_export.errors).
    """
    from rec_export.recs import Recs, verified  # here, so that `rec-export --help` does not wait for pydantic

    recs = Recs.at(Path(root))
    date = recs.date(run_date)
    try:
        return verified(recs, date)
    except OSError:  # the run was replaced while it was read; the next is whole
        return verified(recs, date)
