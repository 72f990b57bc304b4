"""The commands that score and publish."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from rec_export.choices import MOST_K, Engine, Executor, SeenRule
from rec_export.local import BAD_ROWS, PATH
from rec_export.words import counted

if TYPE_CHECKING:  # it waits for torch
    from batch_jobs.executors.shards import Share
    from batch_jobs.job import ScoreJob
    from rec_export.forecast import Forecast

F = TypeVar("F", bound=Callable[..., Any])
FIRST_YEAR, LAST_YEAR = 1970, 2199


class PlaceType(click.ParamType[Path | str, Any]):
    """A folder, or the URL of a place in an object store."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """Raises UsageError for a URL that is none."""
        from rec_export.objects import place_of  # here, so that --help does not wait for pydantic

        return place_of(value)


PLACE = PlaceType()


class DayType(click.DateTime):
    """A day of which the end has a place in time as computers tell it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Fails for a day that is far away."""
        day = super().convert(value, param, ctx)
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            self.fail(f"{value} is not between {FIRST_YEAR} and {LAST_YEAR}.", param, ctx)
        return day


DAY = DayType(["%Y-%m-%d"])
EXECUTORS = click.Choice(get_args(Executor))

EXPECT = click.option(
    "--expect-model-sha256", metavar="HEX", help="Refuse a bundle whose manifest.json has another sha256."
)
APPROXIMATE = click.option(
    "--approximate/--exact",
    default=None,
    help="Retrieve and rerank; what that misses is measured.  [default: score.approximate]",
)
SCORING = (
    click.argument("bundle", type=PATH),
    click.option(
        "--interactions",
        type=PATH,
        required=True,
        help="The whole log up to today, with the columns of the training.",
    ),
    click.option("--items", type=PATH, help="Today's items: only these are recommended, and new ones enter."),
    click.option(
        "--bad-rows",
        type=BAD_ROWS,
        help="Rows whose time or value is missing or none.  [default: as in training]",
    ),
    click.option(
        "--users", type=PATH, help="Score these users only; their attributes are read where the columns are there."
    ),
    click.option(
        "--out",
        type=PLACE,
        required=True,
        help="The read root; the run appears below it as run_date=... A folder, or s3://bucket/prefix.",
    ),
    click.option(
        "--staging",
        type=PATH,
        help="Where a run for a bucket is made on this machine.  [default: ~/.cache/rec-export/...]",
    ),
    click.option("--k", type=click.IntRange(1, MOST_K), help="Items to keep for each user.  [default: score.k]"),
    click.option("--run-date", type=DAY, help="The day that the lists are of.  [default: today, UTC]"),
    click.option(
        "--seen", type=click.Choice(get_args(SeenRule)), help="Items that a user has met.  [default: score.seen]"
    ),
    click.option(
        "--runtime",
        type=click.Choice(get_args(Engine)),
        help="What runs the towers.  [default: score.runtime, or what a bundle of one format has]",
    ),
    click.option("--device", help="auto, cpu or cuda.  [default: score.device]"),
    APPROXIMATE,
    click.option(
        "--rules", type=PATH, help="A configuration whose section `rules` the lists keep to.  [default: none]"
    ),
    click.option("--replace", is_flag=True, help="Put the run in the place of another one that is live at that date."),
    click.option("--allow-world-writable", is_flag=True, help="Publish where everybody on this machine may write."),
    EXPECT,
)
MEANS = (
    click.option(
        "--incremental/--full",
        default=None,
        help="Carry over the lists of users for whom nothing has changed.  [default: score.incremental]",
    ),
    click.option("--executor", type=EXECUTORS, help="Who makes the parts: docs/executors.md.  [default: local]"),
    click.option("--workers", type=click.IntRange(1), help="How many processes.  [default: one a CUDA device]"),
    click.option("--ray-address", help="Of a Ray cluster.  [default: RAY_ADDRESS, or one on this machine]"),
)
SHARE = (
    click.option("--shard-index", type=click.IntRange(0), help="Make only this share of the parts; publish nothing."),
    click.option("--shard-count", type=click.IntRange(1), help="Of so many shares."),
)
DRY = (click.option("--dry-run", is_flag=True, help="Say what would happen and what it needs; write nothing."),)
JSON = (click.option("--json", "as_json", is_flag=True, help="Print the run's manifest."),)


def with_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """All of them, in their order."""
    return lambda command: reduce(lambda done, option: option(done), reversed(options), command)


@click.command()
@with_options(*SCORING, *MEANS, *SHARE, *DRY, *JSON)
def score(shard_index: int | None, shard_count: int | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Publish the best K items of every user, by the exported towers in BUNDLE, whole or not at all.

    Defaults are those of the section `score` in the configuration that the model was trained with.
    """
    from rec_export.progress import starting

    job, share = score_job(**options), share_of(shard_index, shard_count)
    if share is None and not dry_run:
        publish_run(job, as_json)
        return
    with starting(1700):
        from batch_jobs.dry_run import dry_run as foretell
        from batch_jobs.executors.shards import make_share

    if share is None or dry_run:
        tell_forecast(foretell(job), as_json)
    else:
        tell_share(make_share(job, *share), as_json)


@click.command()
@with_options(*SCORING, *JSON)
def publish(as_json: bool, **options: Any) -> None:
    """Publish the run whose parts `score --shard-index I --shard-count N` has made; the options are the same.

    Nothing is scored. While parts are missing it names them, and ends with 75.
    """
    publish_run(score_job(executor="shards", **options), as_json)


def score_job(run_date: datetime | None, rules: Path | None, **options: Any) -> "ScoreJob":
    """The job that is asked for."""
    from batch_jobs.job import ScoreJob
    from rec_export.config import Config
    from rec_export.errors import UsageError

    if rules is not None:
        options["rules"] = Config.rules_of(rules)
        if not options["rules"].declared():
            raise UsageError(f"{rules} has no rules; write them in a section 'rules', or leave --rules out")
    return ScoreJob(run_date=(run_date or datetime.now(UTC)).date(), **options)


def publish_run(job: "ScoreJob", as_json: bool) -> None:
    """Run it, and say what came of it."""
    from rec_export.progress import starting

    with starting(1700):
        from batch_jobs.report import shortfall
        from batch_jobs.scoring import run

    manifest, fresh, _ = run(job)
    if as_json:
        click.echo(manifest.model_dump_json(indent=2))
        return
    sources = ", ".join(f"{count:,} {source}" for source, count in manifest.users.items() if count)
    click.echo(f"{sum(manifest.users.values()):,} users ({sources}) x {manifest.items:,} items, {manifest.rows:,} rows")
    if manifest.short_lists:
        left = ["they have not met"] if manifest.seen == "exclude" else []
        left += ["the rules let them have"] if manifest.rules else []
        click.echo(
            f"{manifest.short_lists:,} users get fewer than {manifest.k} items ({manifest.empty_lists:,} get none):"
            f" there are not more{' that ' * bool(left)}{' and '.join(left)}"
        )
    if manifest.rules is not None:
        click.echo(f"rules: {manifest.rules_in_words()}")
    if manifest.approximate is not None:
        click.echo(shortfall(manifest.approximate))
    if manifest.everybody_because:
        click.echo(f"nothing is carried over: {manifest.everybody_because}")
    if manifest.carried:
        click.echo(
            f"{manifest.carried:,} lists are carried over, of which {manifest.sampled:,} were scored again to the same"
        )
    live = job.place().where(manifest.run_date)
    click.echo(f"{live}" if fresh else f"{live} was published before; nothing is written again")


def share_of(index: int | None, count: int | None) -> tuple[int, int] | None:
    """Which share of how many is asked for; None: all of it. Raises UsageError for half a question."""
    from rec_export.errors import UsageError

    if index is None and count is None:
        return None
    if index is None or count is None:
        raise UsageError("--shard-index and --shard-count belong together; give both")
    if index >= count:
        raise UsageError(f"--shard-index is {index}, but should be 0 to {count - 1}, as --shard-count is {count}")
    return index, count


def tell_forecast(forecast: "Forecast", as_json: bool) -> None:
    """What would happen."""
    click.echo(forecast.as_json() if as_json else "\n".join(forecast.lines()))


def tell_share(done: "Share", as_json: bool, quiet: bool = False) -> None:
    """Say what a share came to."""
    if as_json:
        click.echo(json.dumps(done._asdict(), indent=2))
    elif quiet:
        return
    elif done.published:
        click.echo(f"run {done.run_id} is published; nothing is left to do")
    else:
        click.echo(f"run {done.run_id}: {counted(len(done.made), 'part')} made, {len(done.there)} there before")


@click.command()
@click.argument("config", type=PATH)
@click.option("--run-date", type=DAY, help="The day that the lists are of.  [default: today, UTC]")
@click.option("--force-gate", "force", multiple=True, metavar="NAME", help="Publish though this gate refuses.")
@click.option("--reason", help="Why; recorded with the run.")
@click.option("--gate-cmd", "command", help="A check of your own: it gets the folder of the parts, 0 lets them pass.")
@click.option("--replace", is_flag=True, help="Put the run in the place of another one that is live at that date.")
@click.option("--executor", type=EXECUTORS, help="Who makes the parts: docs/executors.md.  [default: score.executor]")
@EXPECT
@with_options(APPROXIMATE, *SHARE, *DRY)
@click.option("--json", "as_json", is_flag=True, help="Print the report.")
@click.pass_context
def nightly(
    ctx: click.Context,
    /,
    config: Path,
    run_date: datetime | None,
    shard_index: int | None,
    shard_count: int | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score, ask the gates, publish: what CONFIG says, safe to repeat, for cron.

    What is not fit to be published is refused with exit code 80, and what is live stays live.
    """
    from rec_export.progress import starting

    with starting(1800):
        from batch_jobs.night import run
        from batch_jobs.night import share as make_share
        from batch_jobs.nightly_job import NightlyJob
        from batch_jobs.report import shortfall
        from rec_export.config import Config

    share = share_of(shard_index, shard_count)
    job = NightlyJob(config=Config.load(config), run_date=(run_date or datetime.now(UTC)).date(), **options)
    if dry_run:
        from batch_jobs.dry_run import dry_night

        tell_forecast(dry_night(job), as_json)
        return
    if share is not None:
        tell_share(make_share(job, *share), as_json, ctx.find_root().params["quiet"])
        return
    report = run(job)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    elif not ctx.find_root().params["quiet"]:
        click.echo(report.line())
        if report.rules is not None and report.outcome == "published":
            click.echo(f"rules: {report.rules}")
        if report.approximate is not None:
            click.echo(shortfall(report.approximate))
