"""Published: what readers may ask of a place that holds published runs, a folder (recs.py) or a bucket (bucket.py)."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, final

from rec_export.record import Record
from rec_export.run_manifest import RunManifest


@final
class Withdrawal(Record):
    """A run that was taken back: the same command does not publish it again by itself."""

    run_date: str
    run_id: str
    instead: str | None  # the run that was put in its place
    at: str  # UTC, ISO 8601
    reason: str


class Published(Protocol):
    """A place with at most one live run a date."""

    @property
    def control(self) -> Path:
        """The folder on this machine where runs are made, next to a read root or by itself."""

    def where(self, run_date: str) -> str:
        """Where the run of a date is found, for sentences. Raises UsageError for what is no date."""

    def local(self, run_date: str) -> Path:
        """The folder on this machine that holds the parts of a live run, or would hold a copy of them."""

    def dates(self) -> list[str]:
        """The dates that have a run, the oldest first."""

    def date(self, run_date: str | None) -> str:
        """A date that has a run; the newest, if none is named. Raises MissingInputError."""

    def run_id(self, run_date: str) -> str | None:
        """The run that is live; UNKNOWN_RUN where something else is there, and PARTLESS where its parts are gone."""

    def told(self, run_date: str, run_id: str) -> RunManifest:
        """The manifest of a run that is live or kept. Raises MissingInputError or ModelError."""

    def refuse_changed(self, manifest: RunManifest) -> None:
        """Raise DataError where the parts of the live run are not those of its manifest, as far as is told cheaply."""

    def bring(self, run_date: str) -> None:
        """See to it that the parts of the live run are in `local`. Raises DataError."""

    def opened(self, run_date: str) -> AbstractContextManager[list[Path]]:
        """The parts of the live run as files, each verified by its sha256. Raises DataError or MissingInputError."""
