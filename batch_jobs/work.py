"""A run under way: finished parts, each with a sidecar that says so, in the control folder.

    recs.control/work/<run_id>/run_date=2026-11-20/part-00000-of-00004-<run_id>.parquet     becomes the live folder
    recs.control/work/<run_id>/done/part-00000-of-00004-<run_id>.json                       its hash and counts
    recs.control/work/<run_id>/made_with.json

A part without a sidecar was never finished. So a killed run goes on where it was: the same command makes the same run
id, and so finds the same folder. What the gates refused lies in failed/<run_id>/ in the same shape, and comes back.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Self, TypeVar, final

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import torch

from batch_jobs.plan import Plan
from batch_jobs.publish import made
from rec_export import __version__
from rec_export.errors import MissingInputError, ModelError
from rec_export.files import sync
from rec_export.record import Record
from rec_export.recs import PartFile, Recs, unchanged

DECIDING = torch, pa, np, ort  # packages that decide the bytes of a part
KEPT = 7 * 86400.0  # seconds that an unfinished run of another date is kept
R = TypeVar("R", bound=Record)


@final
class MadeWith(Record):
    """What decides the bytes of a part beside the run id: parts of another machine or version do not mix with these."""

    device: str
    versions: dict[str, str]

    @classmethod
    def here(cls, device: torch.device) -> Self:
        """This process."""
        cuda = device.type == "cuda"
        name = torch.cuda.get_device_name(device) if cuda else f"cpu {torch.backends.cpu.get_cpu_capability()}"
        versions = {package.__name__: str(package.__version__) for package in DECIDING}
        versions["sklearn"] = metadata.version("scikit-learn")  # not imported, as it holds 150 MB, and few have texts
        return cls(device=name, versions={"rec-export": __version__, **versions})


@final
class Work:
    """The folder of one run. Only who holds the lock may open it."""

    def __init__(self, recs: Recs, run_date: str, run_id: str, made_with: MadeWith) -> None:
        self.folder = recs.control / "work" / run_id
        self.parts = self.folder / f"run_date={run_date}"
        self.sidecars = self.folder / "done"
        self.failed = recs.control / "failed" / run_id
        self.clear_others()
        if self.failed.is_dir() and not self.folder.exists():
            made(self.folder.parent)
            os.rename(self.failed, self.folder)
        mark = self.folder / "made_with.json"
        if self.folder.exists() and made_with != read_or_none(MadeWith, mark):
            shutil.rmtree(self.folder)
        made(self.parts)
        made(self.sidecars)
        if not mark.is_file():
            made_with.write(mark)

    def clear_others(self) -> None:
        """Remove what other runs of this date left, as their inputs are of the past, and of other dates long ago."""
        for left in self.folder.parent.glob("*"):
            old = time.time() - left.stat().st_mtime > KEPT
            if left != self.folder and (old or (left / self.parts.name).exists() or not left.is_dir()):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def has(self, name: str) -> bool:
        """Whether a part was finished, and is what it was then."""
        part = read_or_none(PartFile, self.sidecar(name))
        return part is not None and unchanged(self.parts, part)

    def part(self, name: str) -> PartFile:
        """What a finished part holds."""
        return PartFile.read(self.sidecar(name))

    def write(self, name: str, write: Callable[[Path], PartFile]) -> None:
        """Let `write` make a part at the path it is given. It counts as finished when its sidecar is there."""
        unfinished = self.folder / "unfinished.parquet"
        done = write(unfinished).model_copy(update={"name": name})
        sync(unfinished)
        os.rename(unfinished, self.parts / name)
        sync(self.parts)
        done.write(self.sidecar(name))

    def sidecar(self, name: str) -> Path:
        """Where it is written that a part is finished."""
        return self.sidecars / f"{Path(name).stem}.json"

    def finished(self) -> int:
        """How many parts are finished."""
        return sum(1 for _ in self.sidecars.glob("part-*.json"))

    def close(self) -> None:
        """Keep what is finished for the next time, and nothing else."""
        (self.folder / "unfinished.parquet").unlink(missing_ok=True)
        if self.folder.is_dir() and not self.finished():
            shutil.rmtree(self.folder)

    def fail(self) -> Path:
        """Set the run aside as evidence; where it lies now."""
        made(self.failed.parent)
        if self.failed.exists():
            shutil.rmtree(self.failed)
        os.utime(self.folder)
        os.rename(self.folder, self.failed)
        return self.failed


def read_or_none(kind: type[R], path: Path) -> R | None:
    """A record; None where it is not there or damaged, as what it stands for can be made again."""
    try:
        return kind.read(path)
    except (MissingInputError, ModelError):
        return None


@contextmanager
def working(recs: Recs, plan: Plan) -> Iterator[Work]:
    """The folder of a run; when the block ends, however it does, only finished parts are kept in it."""
    work = Work(recs, plan.run_date, plan.run_id, MadeWith.here(plan.device))
    try:
        yield work
    finally:
        work.close()
