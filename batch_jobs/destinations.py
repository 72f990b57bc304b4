"""The destination that a folder or a URL is."""

from pathlib import Path

from batch_jobs.destination import Destination
from batch_jobs.in_bucket import InBucket
from batch_jobs.in_folder import InFolder
from rec_export.bucket import Bucket, place_at
from rec_export.objects import place_of
from rec_export.recs import Recs


def destination_at(out: Path | str, staging: Path | None = None) -> Destination:
    """Where to publish; `staging` is where runs for a bucket are made on this machine."""
    place = place_of(out)
    return InFolder(Recs.at(place)) if isinstance(place, Path) else InBucket(Bucket(place, staging))


def destination_of(recs: Path | str, staging: Path | None = None) -> Destination:
    """Where something was published, to look at it or to take it back."""
    place = place_at(recs, staging)
    return InBucket(place) if isinstance(place, Bucket) else InFolder(place)
