"""The command that scores."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path, readable=False)


@click.command()
@click.argument("bundle", type=PATH)
@click.option(
    "--interactions",
    type=PATH,
    required=True,
    help="The whole log up to today, with the columns of the training.",
)
@click.option("--items", type=PATH, help="Today's items: only these are recommended, and new ones enter.")
@click.option(
    "--users", type=PATH, help="Score these users only; their attributes are read where the columns are there."
)
@click.option("--out", type=PATH, required=True, help="The read root; the run appears below it as run_date=...")
@click.option("--k", type=click.IntRange(1, 32_767), help="Items to keep for each user.  [default: score.k]")
@click.option(
    "--run-date", type=click.DateTime(["%Y-%m-%d"]), help="The day that the lists are of.  [default: today, UTC]"
)
@click.option(
    "--seen", type=click.Choice(["exclude", "keep"]), help="Items that a user has met.  [default: score.seen]"
)
@click.option(
    "--runtime",
    type=click.Choice(["torchscript", "onnx", "pt2"]),
    help="What runs the towers.  [default: score.runtime]",
)
@click.option("--device", help="auto, cpu or cuda.  [default: score.device]")
@click.option("--json", "as_json", is_flag=True, help="Print the run's manifest.")
def score(bundle: Path, out: Path, run_date: datetime | None, as_json: bool, **options: Any) -> None:
    """Publish the best K items of every user, by the exported towers in BUNDLE, whole or not at all.

    Defaults are those of the section `score` in the configuration that the model was trained with.
    """
    from batch_jobs.job import ScoreJob
    from batch_jobs.score import run

    day: date = (run_date or datetime.now(UTC)).date()
    job = ScoreJob(bundle=bundle, out=out, run_date=day, **options)
    manifest, fresh = run(job)
    if as_json:
        click.echo(manifest.model_dump_json(indent=2))
        return
    sources = ", ".join(f"{count:,} {source}" for source, count in manifest.users.items() if count)
    click.echo(f"{sum(manifest.users.values()):,} users ({sources}) x {manifest.items:,} items, {manifest.rows:,} rows")
    if manifest.short_lists:
        click.echo(
            f"{manifest.short_lists:,} users get fewer than {manifest.k} items ({manifest.empty_lists:,} get none):"
            " there are not more that they have not met"
        )
    live = out / f"run_date={manifest.run_date}"
    click.echo(f"{live}" if fresh else f"{live} was published before; nothing is written again")
