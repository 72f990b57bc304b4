"""ScoreJob: everything that a run of recommendations depends on."""

from datetime import date
from pathlib import Path
from typing import Literal, final

from pydantic import Field

from rec_export.record import Record
from rec_export.runtime import Runtime

MOST_K = 32_767  # a rank is an int16


@final
class ScoreJob(Record):
    """What to score, with what, and where to."""

    bundle: Path
    interactions: Path
    items: Path | None = None
    users: Path | None = None
    out: Path
    run_date: date
    k: int = Field(ge=1, le=MOST_K)
    seen: Literal["exclude", "keep"]
    device: str
    runtime: Runtime

    def inputs(self) -> dict[str, Path]:
        """The files that are read, by what they are."""
        named = {"interactions": self.interactions, "items": self.items, "users": self.users}
        return {name: path for name, path in named.items() if path is not None}
