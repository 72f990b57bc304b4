"""The destination that a folder or a URL is."""

from pathlib import Path

from batch_jobs.destination import Destination
from batch_jobs.in_bucket import InBucket
from batch_jobs.in_folder import InFolder
from rec_export.bucket import Bucket, place_at


def destination_at(out: Path | str, staging: Path | None = None) -> Destination:
    """Where to publish; `staging` is where runs for a bucket are made on this machine."""
    place = place_at(out, staging)
    return InBucket(place) if isinstance(place, Bucket) else InFolder(place)
