"""One thing that was tried, and what came of it."""

from collections.abc import Callable
from typing import Literal, final

from rec_export.record import Record

State = Literal["ok", "warning", "not available"]


class UnfitError(Exception):
    """Something ran, and did not do what it should."""


@final
class Finding(Record):
    """`check` is a name that scripts may rely on; `todo` is empty where nothing is to be done."""

    check: str
    state: State
    said: str
    todo: str = ""

    def line(self) -> str:
        """For a person."""
        return f"{self.state:<13}  {self.check:<12}  {self.said}{f'; {self.todo}' if self.todo else ''}"


def tried(check: str, attempt: Callable[[], str], todo: str) -> Finding:
    """Ok with what the attempt tells, or not available with what it died of."""
    try:
        return Finding(check=check, state="ok", said=attempt())
    except Exception as error:  # a broken installation raises anything, and that is the finding
        return Finding(check=check, state="not available", said=reason(error), todo=todo)


def reason(error: BaseException) -> str:
    """An error on one line."""
    first = next(iter(str(error).strip().splitlines()), "")
    said = " ".join(first.split())
    return said if isinstance(error, UnfitError) else f"{type(error).__name__}: {said}"
