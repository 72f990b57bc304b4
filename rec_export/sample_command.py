"""The command `sample-data`."""

import logging
from pathlib import Path

import click

from rec_export.local import PATH


@click.command("sample-data")
@click.argument("directory", type=PATH)
@click.option(
    "--seed", type=click.IntRange(min=0), default=42, show_default=True, help="The same seed gives the same files."
)
@click.option("--users", type=click.IntRange(1, 10_000_000), default=3000, show_default=True)
@click.option("--items", type=click.IntRange(1, 10_000_000), default=2000, show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), default=273, show_default=True, help="Length of the log.")
def sample_data(directory: Path, seed: int, users: int, items: int, days: int) -> None:
    """Write a made-up shop to the new DIRECTORY: a log, items, users, the future as a known answer, and a config."""
    from rec_export.data.sample import write_sample

    made = write_sample(directory, seed, users, items, days)
    click.echo(
        f"{made.interactions:,} events of {made.users:,} users and {made.items:,} items,"
        f" {made.first_day} .. {made.last_day}, and {made.future_interactions:,} that follow: {directory}"
    )
    tables = f"--items {directory}/items.parquet --users {directory}/users.parquet"
    logging.getLogger("rec_export").info("Next: rec-export run %s/interactions.parquet %s -o out", directory, tables)
