"""The command `doctor`."""

import json
from typing import Any

import click

from rec_export.local import PATH


@click.command()
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="What must work: without it exit code 69.")
@click.option("--runtime", type=click.Choice(["torchscript", "onnx", "pt2"]), help="The same, of what runs the towers.")
@click.option("--recs", type=PATH, help="A read root: try its filesystem too.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool, **options: Any) -> None:
    """Try what this machine really does: packages, engines, kernels, CUDA, and the filesystem of a read root.

    Exit code 0: the main job can be done here; 69: what was asked for does not work; 78: the main job cannot be done.
    """
    from rec_export.progress import starting, track

    with starting(100):
        from rec_export.doctor.examine import ABOUT, DoctorJob, findings, refuse

    job, found = DoctorJob(**options), []
    for finding in track(findings(job), ABOUT, "examining", logged=False):
        found.append(finding)
        if not as_json:
            click.echo(finding.line())
    if as_json:
        click.echo(json.dumps([finding.model_dump() for finding in found], indent=2))
    refuse(job, found)
