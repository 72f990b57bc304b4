"""How the past of a log is summed up: the half-lives of its trends and the horizon of its lists."""

from typing import final

from pydantic import Field

from rec_export.record import Record


@final
class Clock(Record):
    """How a log's past is summed up. A log without usable time has no half-lives, and its order means nothing."""

    half_lives: tuple[float, ...] = ()  # days, of the decayed counts
    horizon: float = Field(default=30.0, gt=0)  # days that a list is meant to foresee

    @property
    def timed(self) -> bool:
        """Whether time is looked at."""
        return len(self.half_lives) > 0

    @property
    def trends(self) -> int:
        """The number of trend columns: decayed counts, count of all time, a flag for none, and the age if timed."""
        return len(self.half_lives) + (3 if self.timed else 2)

    @property
    def counts(self) -> int:
        """The first trend columns, which are counts."""
        return len(self.half_lives) + 1
