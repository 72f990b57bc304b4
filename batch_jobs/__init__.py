"""bundle/ -> recs/: score every user against every item and publish the best as Parquet."""

from typing import TYPE_CHECKING

from rec_export import __version__ as __version__  # and with it the environment that libraries are loaded in

if TYPE_CHECKING:
    from batch_jobs.job import ScoreJob
    from batch_jobs.nightly_job import NightlyJob
    from batch_jobs.report import Report
    from rec_export.run_manifest import RunManifest


def score(job: "ScoreJob") -> "RunManifest":
    """Publish the lists of job.run_date below job.out, if they are not there yet. Raises a RecExportError."""
    from batch_jobs.scoring import run

    return run(job).manifest


def nightly(job: "NightlyJob") -> "Report":
    """Score, ask the gates, publish. Raises GateError where a gate refuses, and what `score` raises."""
    from batch_jobs.night import run

    return run(job)
