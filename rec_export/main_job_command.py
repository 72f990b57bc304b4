"""The commands of a first hour, which guess what is in the user's files: `run` and `init`."""

import shutil
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rec_export.choices import MOST_K, SeenRule
from rec_export.local import BAD_ROWS, PATH, Finite

if TYPE_CHECKING:
    from rec_export.data.guess import Given

FILES = (
    click.argument("log", type=PATH),
    click.option("--items", type=PATH, help="A table of items; its columns are guessed."),
    click.option("--users", type=PATH, help="A table of users; its columns are guessed."),
)
COLUMNS = (
    click.option("--user", help="The log's column of users."),
    click.option("--item", help="The log's column of items."),
    click.option("--time", help="The log's column of times."),
    click.option(
        "--time-unit",
        type=click.Choice(["auto", "s", "ms", "us", "ns"]),
        default="auto",
        show_default=True,
        help="Of times that are numbers.",
    ),
    click.option("--value", help="The log's column of ratings or weights."),
    click.option(
        "--positive",
        type=Finite(),
        metavar="FLOAT",
        help="Values from this on are likings, such as 4 of 5 stars; lower ones only tell what was met.",
    ),
    click.option(
        "--bad-rows",
        type=BAD_ROWS,
        default="refuse",
        show_default=True,
        help="Rows whose time or value is missing or none.",
    ),
)
Option = Callable[[Callable[..., None]], Callable[..., None]]


def options(*some: Option) -> Option:
    """The options in the order in which help shall show them."""
    return lambda command: reduce(lambda made, option: option(made), reversed(some), command)


@click.command()
@options(*FILES)
@click.option("-o", "--out", type=PATH, required=True, help="A directory for every step's result.")
@options(*COLUMNS)
@click.option("--k", type=click.IntRange(1, MOST_K), help="Items for each user.  [default: 100]")
@click.option(
    "--seen",
    type=click.Choice(get_args(SeenRule)),
    default="exclude",
    show_default=True,
    help="Items that a user has met; keep where people buy again.",
)
@click.option(
    "--model", default="hybrid", show_default=True, help="hybrid, gated, music, ncf, pmf, bpr, als or popular."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def run(out: Path, k: int | None, seen: SeenRule, model: str, device: str, **given: Any) -> None:
    """Do the whole main job on LOG: guess its columns, train, export with proof, and score everybody."""
    from rec_export.progress import starting

    with starting(1500):
        from rec_export.main_job import MainJob
        from rec_export.main_job import run as run_job

    job = MainJob(given=told(given), out=out, k=k, seen=seen, model=model, device=device, program=program())
    run_job(job, click.echo)


@click.command()
@options(*FILES)
@click.option("-o", "--out", type=PATH, default="config.yaml", show_default=True, help="The file to write, a new one.")
@options(*COLUMNS)
def init(out: Path, **given: Any) -> None:
    """Write a configuration for LOG, with a reason beside every guess: edit it, and train."""
    from rec_export.progress import starting

    with starting(600):
        from rec_export.files import refuse_existing
        from rec_export.first_config import InitJob
        from rec_export.first_config import run as run_job

    refuse_existing(out, "file")  # before anybody is asked
    run_job(InitJob(given=told(given), out=out, program=program()), click.echo)


def told(options: dict[str, Any]) -> "Given":
    """What is known of the files; at a terminal a person is asked for what neither options nor names tell."""
    from rec_export.data.guess import Given
    from rec_export.first_question import answered

    given = Given(**options)
    return answered(given, click.echo, ask) if at_terminal() else given


def at_terminal() -> bool:
    """Whether a person reads and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str, read: Callable[[str], str | None]) -> str | None:
    """The answer of a person, who is told what is wrong with another one."""
    from rec_export.errors import UsageError

    while True:
        try:
            return read(click.prompt(question, default="", show_default=False, prompt_suffix=" "))
        except UsageError as error:
            click.echo(str(error))


def program() -> str:
    """What the user can type to get here."""
    by_path = Path(sys.argv[0]).name == "rec-export" and not shutil.which("rec-export")
    return sys.argv[0] if by_path else "rec-export"
