"""data -> checkpoint/: read a log, train towers, keep the best."""

from typing import TYPE_CHECKING

from rec_export import __version__ as __version__  # and with it the environment that libraries are loaded in

if TYPE_CHECKING:  # what a job needs is loaded with it, so that naming the package does not wait for torch
    from trainers.job import Outcome, TrainJob


def train(job: "TrainJob") -> "Outcome":
    """Train what job.config describes and write job.out. Raises a RecExportError, as the command does."""
    from trainers.job import run

    return run(job)
