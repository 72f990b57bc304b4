"""The command that scores."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=PATH)
@click.option(
    "--interactions", type=PATH, required=True, help="Today's log, with the columns that the model was trained on."
)
@click.option("--items", type=PATH, help="Today's items: only these are recommended, and new ones enter.")
@click.option(
    "--users", type=PATH, help="Score these users only; their attributes are read where the columns are there."
)
@click.option("--out", type=PATH, required=True, help="The read root; the run appears below it as run_date=...")
@click.option(
    "--k", type=click.IntRange(1, 32_767), default=100, show_default=True, help="Items to keep for each user."
)
@click.option(
    "--run-date", type=click.DateTime(["%Y-%m-%d"]), help="The day that the lists are of.  [default: today, UTC]"
)
@click.option(
    "--seen",
    type=click.Choice(["exclude", "keep"]),
    default="exclude",
    show_default=True,
    help="Items that a user has met.",
)
@click.option(
    "--runtime",
    type=click.Choice(["torchscript", "onnx"]),
    default="torchscript",
    show_default=True,
    help="What runs the towers.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's manifest.")
def score(bundle: Path, out: Path, run_date: datetime | None, as_json: bool, **options: Any) -> None:
    """Publish the best K items of every user, by the exported towers in BUNDLE, whole or not at all."""
    from batch_jobs.job import ScoreJob
    from batch_jobs.score import run

    day: date = (run_date or datetime.now(UTC)).date()
    job = ScoreJob(bundle=bundle, out=out, run_date=day, **options)
    manifest = run(job)
    if as_json:
        click.echo(manifest.model_dump_json(indent=2))
        return
    sources = ", ".join(f"{count:,} {source}" for source, count in manifest.users.items() if count)
    click.echo(f"{sum(manifest.users.values()):,} users ({sources}) x {manifest.items:,} items, {manifest.rows:,} rows")
    if manifest.short_lists:
        click.echo(
            f"{manifest.short_lists:,} users get fewer than {manifest.k} items: they have met nearly all the others"
        )
    click.echo(f"{out / ('run_date=' + manifest.run_date)}")
