"""Every mistake a user can make, one class each, with the exit code that a scheduler may act on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches

TRY_AGAIN = (69, 74, 75)  # exit codes after which a scheduler should run the same command again
GIVE_UP = (1, 2, 65, 66, 70, 73, 78, 80, 81)  # those that no second try mends; 1: Python itself could not start
NO_ROOM = "can't allocate memory", "out of memory", "bad_alloc", "Failed to allocate memory", "Cannot allocate memory"
"""What torch, CUDA, C++, ONNX Runtime and Linux say, each by an error of its own."""


NAMED: ContextVar[bool] = ContextVar("NAMED", default=True)


class RecExportError(Exception):
    """A sentence for the user: what is wrong, where, how many, and what to do. The command line prints it and exits."""

    exit_code = 70


class UsageError(RecExportError):
    """The command or the configuration asks for something that makes no sense."""

    exit_code = 2


class DataError(RecExportError):
    """An input holds something that cannot be used."""

    exit_code = 65


class ModelError(RecExportError):
    """A checkpoint or a bundle is damaged, incomplete, or not what its manifest says."""

    exit_code = 65


class MissingInputError(RecExportError):
    """A file that was named does not exist, or holds nothing."""

    exit_code = 66


class DeviceError(RecExportError):
    """A device or an engine that was asked for is not there, or not as much memory as is needed."""

    exit_code = 69


class EnvironmentMissingError(RecExportError):
    """This machine cannot do it: an optional package is not installed, or the filesystem lacks an operation."""

    exit_code = 78


class UnsafePlaceError(RecExportError):
    """Anybody could change what would be written there."""

    exit_code = 78


class OutputExistsError(RecExportError):
    """Something already lies where the output should go."""

    exit_code = 73


class StorageError(RecExportError):
    """The disk is full, or reading or writing failed."""

    exit_code = 74


class BusyError(RecExportError):
    """Somebody else is at work in the same place."""

    exit_code = 75


class GateError(RecExportError):
    """A run is not fit to be published; what was live stays live, and the run is kept in the folder `evidence`."""

    exit_code = 80

    def __init__(self, sentence: str, evidence: str = "") -> None:
        super().__init__(sentence)
        self.evidence = evidence


class SinkError(RecExportError):
    """A run is live, but what is derived from it could not be brought in line, for a reason with its own exit code."""

    def __init__(self, sentence: str, exit_code: int = 70) -> None:  # a default, as pickle gives the sentence alone
        super().__init__(sentence)
        self.exit_code = exit_code


class LostProcessError(RecExportError):
    """One of several processes that work together has ended."""

    exit_code = 75


class MissingPartsError(RecExportError):
    """Other processes have not made all parts of a run yet."""

    exit_code = 75


class TrainingError(RecExportError):
    """Training ran into numbers that cannot be used."""

    exit_code = 65


class ParityError(RecExportError):
    """An export does not compute what the trained model computes."""

    exit_code = 81


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where one of `known` is close to `name`, otherwise the list of what is known."""
    choices = sorted(known)
    found = close_to(name, choices)
    if found is not None:
        return f"; did you mean {found!r}?"
    return f"; known: {', '.join(choices)}" if choices else ""


def close_to(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that is nearly `name`, if there is one."""
    choices = sorted(known)
    close = get_close_matches(name.lower(), {choice.lower(): choice for choice in choices}, n=1, cutoff=0.6)
    return next((choice for choice in choices if choice.lower() in close), None)


def some(values: Iterable[object], limit: int = 3) -> str:
    """The first few values as a person would list them, shortened: a hostile id may be 10 kB long.

    In a block of `nobody_named` none is said, as they may be ids of people.
    """
    if not NAMED.get():
        return "(not shown; `rec-export score` shows it)"
    shown = [shorten(repr(value)) for _, value in zip(range(limit), values, strict=False)]
    return ", ".join(shown)


@contextmanager
def nobody_named() -> Iterator[None]:
    """Sentences of errors in the block hold no ids: nobody looks, and logs and reports are kept."""
    token = NAMED.set(False)
    try:
        yield
    finally:
        NAMED.reset(token)


def shorten(text: str, limit: int = 60) -> str:
    """At most `limit` characters of `text`."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def short_of_memory(error: BaseException) -> DeviceError | None:
    """What an error means where a library found no memory; None where it is about something else."""
    said = str(error)
    ours = isinstance(error, RecExportError)  # which may name a file that is called so
    if ours or not (isinstance(error, MemoryError) or any(sign in said for sign in NO_ROOM)):
        return None
    what = shorten((said.splitlines() or [""])[-1].strip() or type(error).__name__, 160)
    return DeviceError(
        f"there is not enough memory here ({what});"
        " free some, or use a larger machine; what a training takes `train --dry-run` says, and training.batch or"
        " training.candidates make it smaller"
    )
