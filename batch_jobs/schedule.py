"""What a scheduler must know to run the nightly job: what to call, where it writes, when, and what is worth a retry."""

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from batch_jobs.own_check import split
from rec_export.config import Config
from rec_export.errors import UsageError, nearest, shorten
from rec_export.record import Record

NAME = r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$"  # what Kubernetes allows for a CronJob
TRIES, WAIT = 4, 600  # in all, and seconds between two of them


@final
class Schedule(Record):
    """One nightly job, ready to be written down for a scheduler."""

    name: str = Field(pattern=NAME)
    program: tuple[str, ...]  # as it can be called from anywhere
    config: Path  # absolute
    needs: tuple[Path, ...]  # absolute: what is read or written
    hour: int
    minute: int
    zone: str
    mail: str | None = None
    image: str = ""

    @field_validator("mail")
    @classmethod
    def plain(cls, mail: str | None) -> str | None:
        """An address that no shell and no header reads as more than that."""
        if mail is not None and not re.fullmatch(r"[\w.+-]+(@[\w.-]+)?", mail, re.ASCII):
            raise ValueError("an address such as ops@example.com")
        return mail

    @classmethod
    def of(cls, config: Path, at: str, **given: object) -> Self:  # type: ignore[override]
        """For a configuration, which must have a section `nightly`; `at` is HH:MM. Raises UsageError."""
        loaded = Config.load(config)
        if loaded.nightly is None:
            raise UsageError(f"{config} has no section 'nightly'; it needs at least nightly.bundle and .out")
        clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", at)
        if clock is None:
            raise UsageError(f"--at is {at!r}, but should be like 03:15")
        given = {**given, "hour": int(clock[1]), "minute": int(clock[2]), "program": program()}
        refuse_unknown_zone(str(given["zone"]))
        where = config.resolve()
        return super().of({**given, "config": where, "needs": (where, *places(loaded))}, "the schedule")

    @property
    def words(self) -> list[str]:
        """The command."""
        return [*self.program, "-q", "nightly", str(self.config)]

    @property
    def at(self) -> str:
        """As a clock shows it."""
        return f"{self.hour:02}:{self.minute:02}"

    def passes_midnight(self) -> bool:
        """Whether a night of this year has midnight UTC between its first try and its last, if each fails at once."""
        zone, tries = ZoneInfo(self.zone), timedelta(seconds=(TRIES - 1) * WAIT)
        first = datetime(datetime.now(UTC).year, 1, 1, self.hour, self.minute, tzinfo=zone)
        nights = ((first + timedelta(days=day)).astimezone(UTC) for day in range(366))
        return any((night + tries).date() != night.date() for night in nights)

    def common_folder(self) -> Path:
        """The folder that holds all that is read or written. Raises UsageError where that is the whole machine."""
        folder = Path(os.path.commonpath([path.parent for path in self.needs]))
        if folder == Path(folder.anchor):
            others = ", ".join(sorted({str(path.parent) for path in self.needs}))
            raise UsageError(f"the job's files have no folder in common that a volume could hold: {others}")
        return folder


def program() -> tuple[str, ...]:
    """How to call this installation by absolute paths, whatever the PATH of a scheduler is."""
    beside = Path(sys.executable).with_name("rec-export")
    return (str(beside),) if os.access(beside, os.X_OK) else (sys.executable, "-m", "rec_export.cli")


def places(config: Config) -> tuple[Path, ...]:
    """What the nightly job of a configuration reads and writes."""
    data, nightly = config.data, config.nightly
    assert nightly is not None
    tables = [table.path for table in (data.interactions, data.items, data.users) if table is not None]
    tables += config.rules.files().values()
    tables += [program for program in map(Path, split(nightly.gates.command)[:1]) if program.is_absolute()]
    written = (nightly.out, nightly.staging, nightly.metrics, nightly.heartbeat, nightly.delta)
    return (*tables, nightly.bundle, *(path for path in written if isinstance(path, Path)))


def refuse_unknown_zone(zone: str) -> None:
    """Raise UsageError for a time zone that this machine does not know."""
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        raise UsageError(f"there is no time zone {zone!r}{shorten(nearest(zone, available_timezones()))}") from None
