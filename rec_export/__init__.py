"""rec-export: from an interaction log to recommendation files that can be trusted."""

import os
from pathlib import Path
from typing import overload

# Or onnxruntime, once imported, looks for a server of Microsoft and keeps a list of events below ~/.cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Or a row of a matrix product may end in another last bit where it begins elsewhere in a line of the cache; it costs no
# time. Intel MKL reads it at its first product.
os.environ.setdefault("MKL_CBWR", "AUTO")

__version__ = "0.1.0"


@overload
def recommendations(root: Path, run_date: str | None = None) -> list[Path]: ...
@overload
def recommendations(
    root: str | Path, run_date: str | None = None, copies: str | Path | None = None
) -> list[Path] | list[str]: ...
def recommendations(
    root: str | Path, run_date: str | None = None, copies: str | Path | None = None
) -> list[Path] | list[str]:
    """The Parquet files of one published run, each verified against the run's manifest; of the newest date, or another.

    Pass the list to anything that reads Parquet. A date that is then published anew moves away: where a reader misses
    a file, call again. Of a bucket, s3://bucket/prefix, the list holds URLs, of which names and sizes are verified;
    with the folder `copies` the files are fetched there, and verified by their sha256 as those of a folder are.
    Raises MissingInputError or DataError (rec_export.errors).
    """
    from rec_export.bucket import Bucket, place_at  # here, so that `rec-export --help` does not wait for pydantic
    from rec_export.recs import verified

    place = place_at(root)
    day = place.date(run_date)
    if not isinstance(place, Bucket):
        return verified(place, day)
    return place.urls(day) if copies is None else place.copied(day, Path(copies))
