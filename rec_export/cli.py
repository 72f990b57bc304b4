"""The `rec-export` command: finds subcommands lazily, and turns a RecExportError into one line and an exit code."""

import logging
import os
import signal
import sys
import traceback
from errno import ENOMEM
from importlib import import_module
from types import FrameType

import click

from rec_export import __version__, logs
from rec_export.errors import RecExportError, UsageError, nearest, short_of_memory
from rec_export.files import storage_error
from rec_export.machine import prepare
from rec_export.redact import redacted

PLACES = {
    "run": "rec_export.main_job_command",
    "init": "rec_export.main_job_command",
    "sample-data": "rec_export.sample_command",
    "train": "trainers.commands",
    "evaluate": "trainers.commands",
    "ablate": "trainers.commands",
    "tune": "trainers.commands",
    "find-lr": "trainers.commands",
    "export": "exporters.commands",
    "torchscript": "exporters.commands",
    "onnx": "exporters.commands",
    "pt2": "exporters.commands",
    "verify": "exporters.commands",
    "score": "batch_jobs.commands",
    "publish": "batch_jobs.commands",
    "nightly": "batch_jobs.commands",
    "rollback": "batch_jobs.published_commands",
    "status": "batch_jobs.published_commands",
    "verify-run": "batch_jobs.published_commands",
    "delta": "batch_jobs.published_commands",
    "schedule": "batch_jobs.published_commands",
    "inspect": "rec_export.inspect_command",
    "doctor": "rec_export.doctor_command",
    "bench": "rec_export.bench.commands",
    "explain": "batch_jobs.published_commands",
    "diff": "batch_jobs.published_commands",
    "report": "rec_export.report_command",
}
CURSOR = "\x1b[?25h"  # shown
IN_SEVERAL = "train"  # processes, which torchrun starts


class LazyGroup(click.Group):
    """A group whose commands are imported when they are wanted, so that --help does not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are used."""
        return list(PLACES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name; a near miss is answered with the right name."""
        if name not in PLACES:
            ctx.fail(f"No such command {name!r}{nearest(name, PLACES)}")
        command: click.Command = getattr(import_module(PLACES[name]), name.replace("-", "_"))
        return command


def heard_as(ctx: click.Context, option: click.Parameter, form: logs.Format) -> logs.Format:
    """A slip in what follows is told in this form already."""
    logs.set_up(logging.INFO, form)
    return form


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="rec-export")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but results, warnings and errors.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    callback=heard_as,
    help="Of lines on stderr.",
)
@click.pass_context
def cli(ctx: click.Context, quiet: bool, log_format: logs.Format) -> None:
    """From an interaction log to recommendation files that can be trusted."""
    processes = os.environ.get("WORLD_SIZE") or "1"
    if processes != "1" and ctx.invoked_subcommand != IN_SEVERAL:
        raise UsageError(
            f"{ctx.invoked_subcommand} works in one process, but WORLD_SIZE is {processes};"
            f" torchrun is for {IN_SEVERAL} alone"
        )
    logs.set_up(logging.WARNING if quiet else logging.INFO, log_format)


def main() -> None:
    """Run the command line. Exit codes are listed in docs/format.md."""
    signal.signal(signal.SIGTERM, terminated)
    prepare()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of a command line."""
    logs.set_up(logging.INFO, "text")  # until the options are read
    try:
        result = cli.main(arguments, prog_name="rec-export", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except RecExportError as error:
        return failed(str(error), error.exit_code)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else ""
        return failed(error.format_message() + (f" See `{path} --help`" if path else ""), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return interrupted()
    except SystemExit as error:
        if error.code == 1:  # click's, of a pipe that nobody reads on, as in `status | head -1`
            return 128 + signal.SIGPIPE
        raise
    except OSError as error:
        if (error.filename is None and error.errno is None) or error.errno == ENOMEM:
            return unforeseen(error)
        problem = storage_error(error.filename or "the output", error)
        return failed(str(problem), problem.exit_code)
    except Exception as error:  # this is the last place where it can be given an exit code
        return unforeseen(error)


def unforeseen(error: Exception) -> int:
    """What no branch above knows: an interrupt in disguise, memory that is not there, or a bug."""
    if begun_by_interrupt(error):
        return interrupted()
    shortage = short_of_memory(error)
    return bug(error) if shortage is None else failed(str(shortage), shortage.exit_code)


def begun_by_interrupt(error: BaseException) -> bool:
    """Whether an error is what a library made of an interrupt that came in its middle."""
    before = error.__context__
    return "KeyboardInterrupt" in str(error) or (
        before is not None and (isinstance(before, KeyboardInterrupt) or begun_by_interrupt(before))
    )


def interrupted() -> int:
    """Say so, on a terminal that shows its cursor, at whatever moment that came."""
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        sys.stderr = sys.__stderr__
        sys.stderr.write(CURSOR)
    return failed("interrupted", 128 + signal.SIGINT)


def bug(error: Exception) -> int:
    """Show where an error that nobody foresaw came from, and own it."""
    sentence = f"this is a bug of rec-export ({type(error).__name__}); please report"
    if logs.is_json():
        return failed(f"{sentence} the traceback", 70, error)
    click.echo(redacted("".join(traceback.format_exception(error))), err=True, nl=False)
    return failed(f"{sentence} the lines above", 70)


def failed(sentence: str, code: int, traced: Exception | None = None) -> int:
    """Say what is wrong, in one line."""
    line = " ".join(redacted(sentence).split())
    if logs.is_json():
        logging.getLogger("rec_export").error(line, exc_info=traced, extra={"exit_code": code})
    else:
        click.echo(f"Error: {line}", err=True)
    return code


def terminated(number: int, frame: FrameType | None) -> None:
    """Leave in good order, so that unfinished directories are removed."""
    raise SystemExit(128 + number)


if __name__ == "__main__":  # torchrun -m rec_export.cli
    main()
