"""Hold a published run against its manifest, and its lists against the promises of docs/format.md; by files alone."""

from pathlib import Path
from typing import NamedTuple

from batch_jobs.audit import Evidence, one_in
from rec_export.errors import DataError, MissingInputError
from rec_export.progress import track
from rec_export.published import Published
from rec_export.run_manifest import PartFile, RunManifest


class Verified(NamedTuple):
    """A run that is as it was published."""

    manifest: RunManifest
    rows: int
    users: int  # with a list


def verify_run(recs: Published, run_date: str) -> Verified:
    """Check the live run of a date: names, sizes, hashes, page checksums, counts, order, ranks, duplicates, scores.

    A run that is replaced meanwhile is left for the one in its place. Raises DataError with the first thing that is
    wrong.
    """
    run_id = recs.run_id(run_date)
    try:
        return held(recs, run_date)
    except (DataError, MissingInputError):
        if recs.run_id(run_date) == run_id:
            raise
    return verify_run(recs, run_date)


def held(recs: Published, run_date: str) -> Verified:
    """The same of a run that stays. Raises DataError or MissingInputError where it does not, too."""
    with recs.opened(run_date) as paths:
        manifest = recs.told(run_date, str(recs.run_id(run_date)))
        if [path.name for path in paths] != [part.name for part in manifest.files]:
            raise DataError(f"{recs.where(run_date)} was changed while it was read; run the command again")
        parts = list(zip(paths, manifest.files, strict=True))
        found = [evidence_of(*one) for one in track(parts, len(parts), f"checking {run_date}")]
    whole = Evidence.together(found)
    broken = "; ".join(f"{count:,} {kind}" for kind, count in whole.broken.items() if count)
    if broken:
        raise DataError(f"the lists in {recs.where(run_date)} break what was promised: {broken}")
    return Verified(manifest, whole.rows, sum(whole.users.values()))


def evidence_of(path: Path, part: PartFile) -> Evidence:
    """What a part holds. Raises DataError where that is not as many rows and users as its record says."""
    one = Evidence.of(path, one_in(1 << 62))
    counted, said = (one.rows, sum(one.users.values())), (part.rows, sum(part.users.values()) - part.empty_lists)
    if counted != said:
        raise DataError(f"{path} holds {counted[0]:,} rows of {counted[1]:,} users, but its manifest says {said}")
    return one
