"""From a checkpoint to a bundle: the towers in formats that stand alone, and the proof that they are the same."""

from typing import TYPE_CHECKING

from rec_export import __version__ as __version__  # and with it the environment that libraries are loaded in

if TYPE_CHECKING:
    from exporters.job import ExportJob
    from rec_export.bundle import Manifest


def export(job: "ExportJob") -> "Manifest":
    """Write the bundle job.out from job.checkpoint. Raises ParityError where it is not the trained model."""
    from exporters.job import run

    return run(job)
