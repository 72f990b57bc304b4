"""From a checkpoint to a bundle: the towers in formats that stand alone, and the proof that they are the same."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporters.job import ExportJob
    from rec_export.bundle import Manifest


def export(job: "ExportJob") -> "Manifest":
    """Write the bundle job.out from job.checkpoint. Raises ParityError where it is not the trained model."""
    from exporters.job import run

    return run(job)
