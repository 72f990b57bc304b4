"""The command `report`."""

from pathlib import Path

import click

from rec_export.local import PATH


@click.command()
@click.argument("paths", type=PATH, nargs=-1, required=True)
@click.option("-o", "--out", type=PATH, required=True, help="The HTML file, a new one.")
@click.option("--title", help="Of the page.  [default: the models]")
def report(paths: tuple[Path, ...], out: Path, title: str | None) -> None:
    """Write one HTML page on what lies at PATHS: checkpoints, bundles, evaluations, lists, or directories of such.

    What belongs to one model is told by hashes; several models stand side by side.
    """
    from rec_export.progress import starting

    with starting(800):
        from rec_export.report.job import ReportJob, run

    done = run(ReportJob(paths=paths, out=out, title=title))
    for section in done.sections:
        click.echo(f"{section.title:<14}{section.headline}")
    click.echo(f"report: {out} ({done.bytes / 1e3:,.0f} kB)")
