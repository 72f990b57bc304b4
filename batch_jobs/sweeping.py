"""What is removed from a bucket, and when: never what a pointer names, nor what somebody may be uploading.

A run that is kept no longer is first named `doomed` in the pointer, so that `rollback` finds it no more; then its
parts are deleted; then its name goes too. Killed in between, the next night goes on.
"""

from datetime import UTC, datetime, timedelta

from batch_jobs.retention import forget_refused
from rec_export.bucket import Bucket, Read
from rec_export.config import Retention

LEFT_OVER = timedelta(days=7)  # parts of an attempt that no pointer names; it could commit for a day (in_bucket.py)


def empty(bucket: Bucket, keep: Retention) -> None:
    """Remove what was replaced or refused too long ago, and what killed uploads left."""
    forget_refused(bucket.control, keep)
    left = left_over(bucket)  # listed before the pointers are read
    pointers = bucket.pointers()
    for read in pointers:
        forget(bucket, read, keep.trash_hours)
    named = {folder for read in pointers for folder in folders_of(read)}
    bucket.objects.delete(key for folder, keys in left.items() if folder not in named for key in keys)
    for folder in ("failed", "probe"):  # of which killed processes leave some
        there = bucket.objects.list(folder).items()
        bucket.objects.delete(key for key, one in there if hours_since(one.modified) > keep.failed_hours)


def hours_since(moment: datetime) -> float:
    """How long ago that was."""
    return (datetime.now(UTC) - moment) / timedelta(hours=1)


def forget(bucket: Bucket, read: Read, hours: float) -> None:
    """Remove the runs of a date that were replaced longer ago."""
    was = read.pointer
    old = [one for one in was.past if hours_since(datetime.fromisoformat(one.until)) > hours]
    doomed = {*was.doomed, *(one.version.folder for one in old)}
    if not doomed:
        return
    past = tuple(one for one in was.past if one not in old)
    if old and not bucket.commit(read, was.model_copy(update={"past": past, "doomed": tuple(sorted(doomed))})):
        return  # somebody else has changed it; the next night looks again
    for folder in doomed:
        bucket.objects.delete(bucket.objects.list(folder))
    now = bucket.read(was.run_date)
    rest = tuple(folder for folder in now.pointer.doomed if folder not in doomed)
    bucket.commit(now, now.pointer.model_copy(update={"doomed": rest}))


def left_over(bucket: Bucket) -> dict[str, list[str]]:
    """The keys in folders of parts to which nothing was added for long, by folder.

    For long is told by the store's clock, up to the newest part, as ours may be wrong.
    """
    found: dict[str, list[str]] = {}
    newest: dict[str, datetime] = {}
    for key, one in bucket.objects.list("data").items():
        folder = key.rpartition("/")[0]
        found.setdefault(folder, []).append(key)
        newest[folder] = max(one.modified, newest.get(folder, one.modified))
    now = max(newest.values(), default=None)
    return {folder: keys for folder, keys in found.items() if now and now - newest[folder] > LEFT_OVER}


def folders_of(read: Read) -> set[str]:
    """The folders of parts that a pointer names."""
    pointer = read.pointer
    live = {pointer.live.folder} if pointer.live else set()
    return live | {one.version.folder for one in pointer.past} | {*pointer.doomed}
