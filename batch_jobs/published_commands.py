"""The commands that look at what is published, take it back, explain it, and schedule what publishes it."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from batch_jobs.commands import DAY, PLACE
from rec_export.choices import MOST_K
from rec_export.local import PATH
from rec_export.words import counted


@click.command()
@click.argument("recs", type=PLACE)
@click.option("--run-date", type=DAY, help="The day whose lists are taken back.  [default: the newest]")
@click.option("--to", metavar="RUN_ID", help="The run to put back.  [default: the last that was not withdrawn]")
@click.option("--withdraw", is_flag=True, help="Take the date away; the one before is then the newest.")
@click.option("--reason", default="", help="Why; recorded.")
def rollback(recs: Path | str, run_date: datetime | None, to: str | None, withdraw: bool, reason: str) -> None:
    """Put the run back that was live before in the read root RECS, in one step, as publishing does."""
    from rec_export.progress import starting

    with starting(1800):
        from batch_jobs.destinations import destination_of
        from batch_jobs.rollback import roll_back
        from rec_export.errors import UsageError

    if withdraw and run_date is None:
        raise UsageError("--withdraw needs a --run-date, so that it takes no other date away when it is repeated")
    place = destination_of(recs)
    day = run_date.date().isoformat() if run_date else place.recs.date(None)
    done = roll_back(place, day, to, withdraw, reason)
    dates = place.recs.dates()
    newest = f"the newest date is now {dates[-1]}" if dates else "nothing is published now"
    if done is None:
        click.echo(f"run_date={day}: {f'the run {to} is live already' if to else f'withdrawn already; {newest}'}")
    elif done.instead is None:
        click.echo(f"run_date={day}: the run {done.run_id} is withdrawn; {newest}")
    else:
        before = f", instead of {done.run_id}" if done.run_id else ""
        click.echo(f"run_date={day}: the run {done.instead} is live again{before}")


@click.command()
@click.argument("recs", type=PLACE)
@click.option("--staging", type=PATH, help="Where runs for a bucket are made.  [default: ~/.cache/rec-export/...]")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(recs: Path | str, staging: Path | None, as_json: bool) -> None:
    """Say what is live in the read root RECS, what is at work, and how the last night ended."""
    from rec_export.progress import starting

    with starting(1800):
        from batch_jobs.destinations import destination_of
        from batch_jobs.status import status as look

    found = look(destination_of(recs, staging))
    click.echo(found.model_dump_json(indent=2) if as_json else "\n".join(found.lines()))


@click.command()
@click.argument("recs", type=PLACE)
@click.option("--run-date", "days", type=DAY, multiple=True, help="A day to check.  [default: all]")
def verify_run(recs: Path | str, days: tuple[datetime, ...]) -> None:
    """Check the published files in the read root RECS: hashes, counts, order, ranks, duplicates, scores."""
    from rec_export.progress import starting

    with starting(1700):
        from batch_jobs.verify import verify_run as verify
        from rec_export.bucket import place_at
        from rec_export.errors import DataError, MissingInputError, ModelError

    place = place_at(recs)
    place.date(None)  # an empty root is a slip
    checked = [day.date().isoformat() for day in days] or place.dates()
    faults: list[DataError | MissingInputError | ModelError] = []
    for day in checked:
        try:
            found = verify(place, day)
        except (DataError, MissingInputError, ModelError) as error:  # of the others all is to be told
            faults.append(error)
            if len(checked) > 1:
                click.echo(f"run_date={day}: {error}")
            continue
        click.echo(
            f"run_date={day}: run {found.manifest.run_id}, {counted(found.users, 'user')} with a list,"
            f" {counted(found.rows, 'row')} and {counted(len(found.manifest.files), 'part')} as they were published"
        )
    if len(faults) > 1:
        raise type(faults[0])(f"{len(faults)} of {len(checked)} dates are not as they were published; see above")
    if faults:
        raise faults[0]


@click.command()
@click.argument("recs", type=PATH)
@click.argument("table", type=PATH)
@click.option(
    "--allow-world-writable", "anywhere", is_flag=True, help="Though everybody on this machine may write there."
)
def delta(recs: Path, table: Path, anywhere: bool) -> None:
    """Bring the Delta table TABLE in line with what is live in the read root RECS, each date in one commit.

    `nightly` does so by itself where the configuration names a table; after `score` or `rollback` this does.
    """
    from batch_jobs.delta import mirror
    from rec_export.recs import Recs

    done = mirror(Recs.found(recs), table, anywhere=anywhere)
    for what, dates in (("put", done.put), ("removed", done.gone)):
        if dates:
            click.echo(f"{what} {', '.join(f'run_date={date}' for date in sorted(dates))}")
    if not done.put and not done.gone:
        click.echo(f"{table} holds what is live already; nothing is written")


@click.command()
@click.argument("config", type=PATH)
@click.option("--cron", "kind", flag_value="cron", help="A line for crontab.")
@click.option("--systemd", "kind", flag_value="systemd", help="A service and its timer.")
@click.option("--k8s", "kind", flag_value="k8s", help="A CronJob for Kubernetes.")
@click.option("--airflow", "kind", flag_value="airflow", help="A DAG.")
@click.option("--at", metavar="HH:MM", default="03:15", show_default=True, help="When.")
@click.option("--time-zone", "zone", default="UTC", show_default=True, help="Of --at; the date of the lists is UTC's.")
@click.option("--name", default="rec-export-nightly", show_default=True, help="Of the unit, in lower case.")
@click.option("--mail", metavar="ADDRESS", help="Who is told of a failure, by cron or systemd.")
@click.option("--image", default="rec-export:latest", show_default=True, help="Of the container, for Kubernetes.")
@click.option("-o", "--out", type=PATH, help="A new folder for the files.  [default: print them]")
def schedule(kind: str | None, out: Path | None, **options: Any) -> None:
    """Print what makes a scheduler run the nightly job of CONFIG, with absolute paths and the right retries."""
    from batch_jobs.schedule import Schedule
    from batch_jobs.units import KINDS
    from rec_export.errors import UsageError
    from rec_export.files import new_directory

    if kind is None:
        raise UsageError(f"say for what: {', '.join(f'--{name}' for name in KINDS)}")
    files = KINDS[kind](Schedule.of(**options))
    if out is not None:
        with new_directory(out) as folder:
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
        return
    for name, text in files.items():
        click.echo((f"# {name}\n" if len(files) > 1 else "") + text.rstrip("\n"))


@click.command()
@click.argument("target", type=PATH)
@click.option("--user", required=True, help="Whose list.")
@click.option("--item", "asked", multiple=True, help="Tell where this item stands, and why.")
@click.option(
    "--k", "shown", type=click.IntRange(1, MOST_K), default=10, show_default=True, help="Places to show of the list."
)
@click.option("--run-date", type=DAY, help="A published day, or the day to look from.  [default: the newest]")
@click.option("--interactions", type=PATH, help="The log.  [default: that of the training]")
@click.option(
    "--items", type=PATH, help="Today's table of items.  [default: that of the training, for a run that read one]"
)
@click.option("--users", type=PATH, help="Today's table of users.  [default: likewise]")
@click.option(
    "--bundle", type=PATH, help="The bundle that made a published run.  [default: the one beside the read root]"
)
@click.option("--rules", type=PATH, help="A configuration whose section `rules` the list keeps to.  [default: none]")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def explain(run_date: datetime | None, rules: Path | None, as_json: bool, **options: Any) -> None:
    """Explain one user's list: history, the terms of each score, what was kept out, and each exported format.

    TARGET is a bundle, a read root or a day of one, or the directory that `run` left.
    """
    from rec_export.progress import starting

    with starting(1900):
        from batch_jobs.explain import run
        from batch_jobs.job import ExplainJob
        from rec_export.config import Config

    if rules is not None:
        options["rules"] = Config.rules_of(rules)
        data = Config.data_of(rules)
        if options["rules"].columns() and data is not None and data.items is not None:  # where `nightly` reads them
            options["items"] = options["items"] or data.items.path
    told = run(ExplainJob(run_date=run_date and run_date.date(), **options))
    click.echo(told.model_dump_json(indent=2) if as_json else told.text())


@click.command()
@click.argument("before", type=PATH, metavar="RUN_A")
@click.argument("after", type=PATH, metavar="RUN_B")
@click.option("--config", type=PATH, help="A configuration whose log tells users apart by how much they liked.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def diff(as_json: bool, **options: Any) -> None:
    """Tell how the lists of RUN_A and RUN_B differ: users, items kept, items that come and go, scores.

    A run is a read root (its newest day), the folder of a day in one, one that the gates refused
    (recs.control/failed/...), or any folder of parts.
    """
    from rec_export.progress import starting

    with starting(600):
        from batch_jobs.diff import DiffJob, lines, run

    told = run(DiffJob(**options))
    click.echo(told.model_dump_json(indent=2) if as_json else "\n".join(lines(told)))
