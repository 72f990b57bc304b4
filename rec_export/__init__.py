"""rec-export: from an interaction log to recommendation files that can be trusted."""

import os
from pathlib import Path

# Or onnxruntime, once imported, looks for a server of Microsoft and keeps a list of events below ~/.cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"


def recommendations(root: str | Path, run_date: str | None = None) -> list[Path]:
    """The Parquet files of one published run, each verified against the run's manifest; of the newest date, or another.

    Pass the list to anything that reads Parquet. A date that is then published anew moves away: where a reader misses
    a file, call again. Raises MissingInputError or DataError (rec_export.errors).
    """
    from rec_export.recs import Recs, verified  # here, so that `rec-export --help` does not wait for pydantic

    recs = Recs.at(Path(root))
    return verified(recs, recs.date(run_date))
