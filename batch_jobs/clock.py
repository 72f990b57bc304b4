"""When a command began, and for how long it has been going on."""

import time
from datetime import UTC, datetime
from typing import final


@final
class Clock:
    """Started when it is made; a clock of the machine that is set meanwhile does not count."""

    def __init__(self) -> None:
        self.started, self.began = datetime.now(UTC), time.monotonic()

    def seconds(self) -> float:
        """Since then."""
        return round(time.monotonic() - self.began, 1)
