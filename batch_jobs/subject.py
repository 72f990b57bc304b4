"""Which bundle, files and date an explanation is about: by a bundle, published lists, or what `run` left."""

import logging
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.job import ExplainJob, ScoreJob
from rec_export.bundle import Bundle
from rec_export.data.broken import unreadable
from rec_export.data.read import fingerprint
from rec_export.errors import DataError, MissingInputError, UsageError
from rec_export.files import absent, sha256
from rec_export.recs import FOLDER, Recs, run_in
from rec_export.run_lists import Run, read_part
from rec_export.run_manifest import RunManifest
from rec_export.sealed import MANIFEST

log = logging.getLogger("rec_export")


class Subject(NamedTuple):
    """A bundle, and the published run that it made, if it is about one."""

    bundle: Path
    date: date | None  # None: after the last row of the log
    folder: Path | None = None  # of the run's parts
    manifest: RunManifest | None = None

    @property
    def run(self) -> str | None:
        """The published run as a person calls it."""
        return None if self.manifest is None else f"{self.manifest.run_date} ({self.manifest.run_id})"

    def score_job(self, job: ExplainJob, bundle: Bundle) -> ScoreJob:
        """What `score` would be asked for. A warning where a file is not what the published run read."""
        data, run = bundle.manifest.blueprint.data, self.manifest
        read = {"interactions", *(run.inputs if run else ())}
        paths = {"interactions": job.interactions, "items": job.items, "users": job.users}
        for name, path in data.paths().items():
            if name in read and paths[name] is None:
                paths[name] = path
        if paths["interactions"] is None or not paths["interactions"].exists():
            raise MissingInputError(
                f"the log {paths['interactions']} is not there; name the one to read with --interactions"
            )
        job_of_score = ScoreJob(
            bundle=self.bundle, interactions=paths["interactions"], items=paths["items"], users=paths["users"],
            whom="all", rules=job.rules, out=Path(), run_date=self.date or date.max, k=run.k if run else None,
            seen=run.seen if run else None, runtime=run.runtime if run else None, device="cpu",
            approximate=run.approximate is not None if run else None,
            bad_rows="leave_out" if run and unreadable(run.left_out) else None,
        )  # fmt: skip
        for name, path in job_of_score.inputs().items() if run else ():
            if run and run.inputs.get(name) != fingerprint(path):
                told = f"{path} is not the file that the run {run.run_id} read, so its list may differ"
                log.warning("%s%s", told, f"; name that one with --{name}" if name in paths else "")
        if run:
            warn_of_rules(run, job.rules.declared())
        return job_of_score

    def published(self, user: str) -> tuple[str | int, ...] | None:
        """The user's list as readers have it; None where the subject is a bundle alone. All parts are verified."""
        if self.folder is None:
            return None
        for part in Run.at(self.folder).parts:
            table = read_part(part, ["user_id", "rank", "item_id"])
            mine = table.filter(pc.equal(table["user_id"].cast(pa.large_string()), user))
            if len(mine):  # a user's rows are in one part
                return tuple(mine.sort_by("rank")["item_id"].to_pylist())
        return ()


def warn_of_rules(run: RunManifest, mine: dict[str, Any]) -> None:
    """Say so where a published run kept to other business rules than those that an explanation is asked for."""
    theirs = run.rules.declared if run.rules else {}
    unlike = [name for name in {**theirs, **mine} if theirs.get(name) != mine.get(name)]
    if unlike and not mine:
        log.warning("the run %s kept to business rules; name their configuration with --rules", run.run_id)
    elif unlike and not theirs:
        log.warning("the run %s kept to no business rules, so its list may differ from that of --rules", run.run_id)
    elif unlike:
        names = ", ".join(unlike)
        log.warning("the run %s kept to other rules than --rules has (%s), so its list may differ", run.run_id, names)


def subject_of(job: ExplainJob) -> Subject:
    """What the target is. Raises MissingInputError or UsageError where no bundle belongs to it."""
    target = job.target
    if not target.is_dir():
        raise absent(target, "name a bundle, a read root, or what `run` left")
    if (target / MANIFEST).is_file():
        return Subject(target, job.run_date)
    whole = target.resolve()  # "." has no name of its own
    if FOLDER.fullmatch(whole.name):
        return of_run(job, whole.parent, whole.name.removeprefix("run_date="))
    wanted = job.run_date.isoformat() if job.run_date else None
    if any(FOLDER.fullmatch(child.name) for child in target.iterdir()):
        return of_run(job, target, wanted)
    if (target / "recs").is_dir():
        return of_run(job, target / "recs", wanted)
    if (target / "bundle").is_dir():
        return Subject(target / "bundle", job.run_date)
    raise UsageError(f"{target} is neither a bundle nor a read root; name one, or what `run` left")


def of_run(job: ExplainJob, root: Path, wanted: str | None) -> Subject:
    """A published run, with the bundle that made it: the one that is named, or one beside the read root."""
    recs = Recs.found(root)
    day = recs.date(wanted)
    folder = recs.live(day)
    manifest = recs.told(day, str(run_in(folder)))
    beside = sorted(path.parent for path in recs.control.parent.glob(f"*/{MANIFEST}"))
    for bundle in [job.bundle] if job.bundle else beside:
        if (bundle / MANIFEST).is_file() and sha256(bundle / MANIFEST) == manifest.bundle:
            return Subject(bundle, date.fromisoformat(day), folder, manifest)
    if job.bundle is not None:
        raise DataError(f"the run {manifest.run_id} in {folder} was not made by the bundle {job.bundle}; name its own")
    raise UsageError(
        f"the bundle that made the run {manifest.run_id} does not lie beside {root}; name it with --bundle"
    )
