"""Where runs are published: what scoring, the night, rollback and status ask of it, be it a folder or a bucket.

A run is made in the control folder on this machine, whatever its destination. What differs is the one step that
readers see, and what is kept beside what is live.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path

from rec_export.config import Retention
from rec_export.published import Published, Withdrawal
from rec_export.run_manifest import RunManifest


class Destination(ABC):
    """A place to publish in. Methods that change it are called in a `claimed` block."""

    recs: Published

    @abstractmethod
    def claimed(self, *, anywhere: bool = False) -> AbstractContextManager[None]:
        """Be the only one on this machine who writes there, in order left by whoever was before. Raises BusyError.

        Raises UnsafePlaceError where everybody may write, but for `anywhere`.
        """

    @abstractmethod
    def joined(self, *, anywhere: bool = False) -> AbstractContextManager[None]:
        """Be one of several who make parts. Raises BusyError where somebody publishes, who must be alone."""

    @abstractmethod
    def refuse_open(self) -> None:
        """Raise UnsafePlaceError where anybody on this machine could change what is published."""

    @abstractmethod
    def refuse_unfit(self, replaces: bool) -> None:
        """Raise EnvironmentMissingError where a run could not appear in one step: before hours of scoring."""

    @abstractmethod
    def publish(self, parts: Path, manifest: RunManifest) -> bool:
        """Commit the run whose parts lie in a folder of the control folder. False: somebody else has just done it.

        Raises OutputExistsError where another run is live than the one that it replaces.
        """

    @abstractmethod
    def retire(self, keep: Retention, published: str) -> None:
        """Take away the dates of ours beyond the newest `keep.dates`, but not the one just published."""

    @abstractmethod
    def empty(self, keep: Retention) -> None:
        """Remove what was replaced, withdrawn or refused too long ago."""

    @abstractmethod
    def kept(self, run_date: str) -> list[str]:
        """The runs of a date that can be put back, the one that was replaced last first."""

    @abstractmethod
    def damaged(self, run_date: str, run_id: str) -> list[str]:
        """The parts of a kept run that are not what they were."""

    @abstractmethod
    def put_back(self, done: Withdrawal) -> None:
        """Put the run `instead` in the place of the one that is withdrawn, or nothing, in one step."""

    @abstractmethod
    def withdrawn(self) -> tuple[Withdrawal, ...]:
        """The runs that were taken back and are not live again."""

    def is_withdrawn(self, run_date: str, run_id: str) -> bool:
        """Whether a run was taken back."""
        return any((one.run_date, one.run_id) == (run_date, run_id) for one in self.withdrawn())

    @abstractmethod
    def keep_report(self, evidence: Path | None) -> None:
        """Keep the report in the control folder where others find it; `evidence`: the folder of a refused run."""

    @abstractmethod
    def report(self) -> str | None:
        """The report of the last night, in JSON."""

    @abstractmethod
    def refused(self) -> dict[str, str | None]:
        """The reports of refused runs that are kept, in JSON, by run id; the newest first."""
