"""A machine that publishes made-up runs to a bucket, and what a reader of the bucket finds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

import rec_export
from batch_jobs.in_bucket import InBucket
from rec_export.bucket import Bucket, Past
from rec_export.config import Retention
from rec_export.errors import MissingInputError
from rec_export.objects import Objects
from tests.made_up_run import made_up_run

DAY = "2026-11-20"
PARTS, USERS = 3, 4  # a part
KEEP = Retention(dates=2, trash_hours=1)


class Machine(NamedTuple):
    """A bucket as a machine with a staging folder sees it."""

    url: str
    staging: Path

    def bucket(self) -> InBucket:
        """Anew, as each process has it."""
        return InBucket(Bucket(self.url, self.staging))

    def publish(self, number: int, run_date: str = DAY, before: Callable[[], object] = lambda: None) -> bool:
        """A run whose scores are all its number, if it is not live; `before` is called before it is committed."""
        place, run_id = self.bucket(), f"{number:012x}"
        with place.claimed():
            replaced = place.recs.run_id(run_date)
            if replaced == run_id:
                return False
            parts = place.recs.control / "work" / run_id / f"run_date={run_date}"
            parts.mkdir(parents=True, exist_ok=True)
            told = made_up_run(parts, run_date, number, PARTS, USERS, replaces=replaced)
            before()
            return place.publish(parts, told)

    def found(self, run_date: str = DAY) -> int | None:
        """What a reader finds: the number of the one run that is there whole; None: nothing."""
        try:
            files = rec_export.recommendations(self.url, run_date)
        except MissingInputError:
            return None
        objects = Objects(self.url)
        parts = [objects.get(str(file).removeprefix(f"{self.url}/")) for file in files]
        lists = pa.concat_tables(pq.read_table(pa.BufferReader(part.content)) for part in parts if part)
        (score,) = set(lists["score"].to_pylist())
        assert len(lists) == PARTS * USERS
        return int(score)

    def view(self, run_date: str = DAY) -> list[str]:
        """What the derived list says."""
        found = Objects(self.url).get(f"views/symlink/run_date={run_date}/manifest")
        return [] if found is None else found.content.decode().split()

    def seen(self, run_date: str = DAY) -> tuple[int | None, int, bool]:
        """The run that is live, how many parts the derived list names, and whether work is left here."""
        return self.found(run_date), len(self.view(run_date)), (self.staging / "work").exists()

    def stored(self, folder: str = "") -> list[str]:
        """All keys."""
        return sorted(Objects(self.url).list(folder))


def aged(bucket: Bucket, run_date: str, age: timedelta) -> None:
    """Let the runs of a date have been replaced long ago."""
    read, until = bucket.read(run_date), (datetime.now(UTC) - age).isoformat()
    past = tuple(Past(version=one.version, until=until) for one in read.pointer.past)
    assert bucket.commit(read, read.pointer.model_copy(update={"past": past}))
