"""How long each stage of a step took, for its manifest and for the report."""

import time
from typing import final


@final
class Stages:
    """A stop watch: each stage ends where the next one begins."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.since = time.monotonic()

    def end(self, stage: str) -> None:
        """The stage that began with the end of the one before is over."""
        now = time.monotonic()
        self.seconds[stage] = round(now - self.since, 2)
        self.since = now

    def until(self, stage: str) -> dict[str, float]:
        """The seconds of all stages up to the end of this one."""
        self.end(stage)
        return dict(self.seconds)
