"""What a step would do, said by `--dry-run` before anything is written: inputs, sizes, place, memory, disk and time."""

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self, final

from rec_export.files import files_below
from rec_export.objects import Place
from rec_export.record import Record

ENOUGH = 3.0  # seconds of work, from which the rest is foretold
WARM = 2  # steps, while TorchScript and torch look for the fastest way


@final
class Input(Record):
    """A file or folder that is read."""

    name: str
    path: Path
    bytes: int

    @classmethod
    def at(cls, name: str, path: Path) -> Self:
        """With its size."""
        files = [path] if path.is_file() else files_below(path)
        return cls(name=name, path=path, bytes=sum(file.stat().st_size for file in files))


@final
class Forecast(Record):
    """What would happen. Bytes and seconds are estimates; docs/dry_run.md says how each is made."""

    does: str
    inputs: tuple[Input, ...]
    facts: tuple[str, ...]  # sizes, in words
    out: Place
    work: Path | None = None  # where it is made, if that is elsewhere
    done: bool = False  # the same was done before, so nothing would be written
    instead: str | None = None  # what would give way to it
    memory: int | None = None  # bytes at the peak
    disk: int | None = None  # bytes of what stays
    meanwhile: int = 0  # bytes beside it on the disk, while the step works
    seconds: tuple[float, float] | None = None  # least and most

    @classmethod
    def nothing(cls, does: str, inputs: Mapping[str, Path], out: Path | str) -> Self:
        """The same was done before."""
        return cls(does=does, inputs=read(inputs), facts=(), out=out, done=True)

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield f"Would     {self.does}"
        for one in self.inputs:
            yield f"{'Reads':<10}{one.path} ({sized(one.bytes)}, {one.name})"
        for place, fact in enumerate(self.facts):
            yield f"{'' if place else 'Finds':<10}{fact}"
        if self.done:
            yield f"Writes    nothing: {self.out} is there already, made from the same"
            return
        there = "which is not there yet" if self.instead is None else f"in place of {self.instead}"
        yield f"Writes    {self.out}, {there}"
        yield from self.needs()
        yield "Nothing was written."

    def needs(self) -> Iterator[str]:
        """What the machine must have."""
        if self.memory is not None:
            whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            yield f"Memory    about {sized(self.memory)}, of {sized(whole)} in this machine"
            if self.memory > whole:
                yield "WARNING   that is more than this machine has"
        if self.disk is not None:
            free = free_at(self.work or Path(self.out))
            more = f", and {sized(self.meanwhile)} while it works" if self.meanwhile else ""
            yield f"Disk      about {sized(self.disk)}{more}; {sized(free)} are free"
            if self.disk + self.meanwhile > free:
                yield "WARNING   that is more than is free"
        if self.seconds is not None:
            least, most = (lasting(seconds) for seconds in self.seconds)
            span = f"about {most}" if least == most else f"{least} to {most}"
            yield f"Time      {span}, if this machine stays as busy as it is now"


class Pace(NamedTuple):
    """How much of some work was done in a short while."""

    done: int
    seconds: float

    def of(self, steps: float) -> float:
        """Seconds of so many steps."""
        return self.seconds / max(self.done, 1) * steps


def pace(steps: Iterable[Callable[[], object]], enough: float = ENOUGH) -> Pace:
    """Do steps until `enough` seconds are over. The first ones, which compile, count only where there are no others."""
    begun = [time.perf_counter()]
    for step in steps:
        step()
        begun.append(time.perf_counter())
        if len(begun) > WARM + 1 and begun[-1] - begun[WARM] > enough:
            break
    counted = begun[WARM:] if len(begun) > WARM + 1 else begun
    return Pace(len(counted) - 1, counted[-1] - counted[0])


def read(inputs: Mapping[str, Path]) -> tuple[Input, ...]:
    """Inputs with their sizes."""
    return tuple(Input.at(name, path) for name, path in inputs.items())


def peak() -> int:
    """Bytes of memory that this process has held at most, with all its libraries."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def free_at(path: Path) -> int:
    """Bytes that are free on the disk where `path` would lie."""
    return shutil.disk_usage(next(parent for parent in path.absolute().parents if parent.exists())).free


def sized(count: int) -> str:
    """Bytes as a person says them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def lasting(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
