"""A run under way: finished parts, each with a sidecar that says so, in the control folder.

    recs.control/work/<run_id>/run_date=2026-11-20/part-00000-of-00004-<run_id>.parquet     becomes the live folder
    recs.control/work/<run_id>/done/part-00000-of-00004-<run_id>.json                       its hash and counts
    recs.control/work/<run_id>/made_with.json
    recs.control/work/<run_id>/basis/part-00000-of-00004-<run_id>.parquet                   if incremental (carry.py)
    recs.control/work/<run_id>/everybody.json                                               why nobody is carried over

A part without a sidecar was never finished. So a killed run goes on where it was: the same command makes the same run
id, and so finds the same folder. What the gates refused lies in failed/<run_id>/ in the same shape, and comes back.

Several processes, on several machines too, may make parts of one run at once, and even the same part: each writes where
nobody else does, and what they put in its place are the same bytes.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Self, TypeVar, final

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import torch

from batch_jobs.plan import Plan
from batch_jobs.publish import ONCE_MORE, make_folder, warned
from rec_export import __version__
from rec_export.errors import DataError, DeviceError, MissingInputError, ModelError
from rec_export.files import sync, write_whole
from rec_export.published import Published
from rec_export.record import Record
from rec_export.recs import unchanged
from rec_export.run_manifest import PartFile

DECIDING = torch, pa, np, ort  # packages that decide the bytes of a part
KEPT = 7 * 86400.0  # seconds that another unfinished run is kept, if nothing is published at its date
UNFINISHED = "unfinished-"  # begins the name of a file that one process writes
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
class Everybody(Record):
    """everybody.json: that nobody's lists are carried over in this run, and why."""

    because: str


@final
class Work:
    """The folder of one run: `begin` it alone, with the lock held, or `join` in as one of several."""

    def __init__(self, recs: Published, run_date: str, run_id: str) -> None:
        self.folder = recs.control / "work" / run_id
        self.parts = self.folder / f"run_date={run_date}"
        self.sidecars, self.bases = self.folder / "done", self.folder / "basis"
        self.failed = recs.control / "failed" / run_id
        self.mark, self.everybody = self.folder / "made_with.json", self.folder / "everybody.json"
        self.mine: MadeWith | None = None  # what this process makes parts with

    def begin(self, made_with: MadeWith | None) -> None:
        """Clear up, and keep what was finished, if that was made with the same. None: whatever it was made with."""
        self.clear_old()
        self.come_back()
        if made_with is not None and self.folder.exists() and made_with != self.made_with():
            shutil.rmtree(self.folder)
        self.sweep()
        self.make(made_with)
        self.mine = made_with

    def join(self, made_with: MadeWith) -> None:
        """Take part in what others may be at work on. Raises DeviceError where they do it otherwise."""
        self.come_back()
        self.make(made_with)
        self.mine = made_with
        self.refuse_others()

    def come_back(self) -> None:
        """Go on with what the gates refused, if they did, with all its parts."""
        if self.failed.is_dir() and not self.folder.exists():
            make_folder(self.folder.parent)
            with suppress(FileNotFoundError):  # another shard has just done it
                os.rename(self.failed, self.folder)

    def make(self, made_with: MadeWith | None) -> None:
        """The folders, where they are missing."""
        make_folder(self.parts)
        make_folder(self.sidecars)
        if made_with is not None and not self.mark.is_file():
            write_whole(self.mark, made_with.as_json(), self.unfinished())

    def refuse_others(self) -> None:
        """Raise DeviceError where the parts are made with something else, as their last bits might differ."""
        theirs = self.made_with()
        if theirs != self.mine:
            raise DeviceError(
                f"the parts in {self.folder} are made with {told(theirs)}, but this machine has {told(self.mine)};"
                " use machines of one kind with the same versions, or remove that folder to begin anew"
            )

    def made_with(self) -> MadeWith | None:
        """What the parts are made with; None where none was begun."""
        return read_or_none(MadeWith, self.mark)

    def known_made_with(self) -> MadeWith:
        """The same of finished parts. Raises DataError where nobody knows it any more."""
        found = self.made_with()
        if found is None:
            raise DataError(
                f"{self.mark}, which says what made the parts, is gone or damaged; remove the folder {self.folder} to"
                " begin anew"
            )
        return found

    def clear_old(self) -> None:
        """Remove what other runs left long ago."""
        for left in self.folder.parent.glob("*"):
            old = time.time() - left.stat().st_mtime > KEPT
            if left != self.folder and (old or not left.is_dir()):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def clear_others(self) -> None:
        """Remove what other runs of this date left; once this one is live, as it may have been begun by a slip."""
        with warned("what other runs of this date left could not be removed"):
            for left in self.folder.parent.glob(f"*/{self.parts.name}"):
                if left != self.parts:
                    shutil.rmtree(left.parent)

    def has(self, name: str) -> bool:
        """Whether a part was finished, is what it was then, and holds nothing that was carried over in vain."""
        part = read_or_none(PartFile, self.sidecar(name))
        doubted = part is not None and part.carried > 0 and self.everybody.is_file()
        return part is not None and not doubted and unchanged(self.parts, part)

    def part(self, name: str) -> PartFile:
        """What a finished part holds."""
        return PartFile.read(self.sidecar(name))

    def write(self, name: str, write: Callable[[Path], PartFile]) -> None:
        """Let `write` make a part at the path it is given. It counts as finished when its sidecar is there."""
        unfinished = self.unfinished()
        try:
            done = write(unfinished).model_copy(update={"name": name})
            sync(unfinished)
            self.refuse_others()  # somebody may have begun the run anew meanwhile
            os.rename(unfinished, self.parts / name)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync(self.parts)
        write_whole(self.sidecar(name), done.as_json(), self.unfinished())

    def score_everybody(self, because: str) -> None:
        """From now on nobody's lists are carried over, and parts with such lists are made again."""
        if not self.everybody.is_file():
            write_whole(self.everybody, Everybody(because=because).as_json(), self.unfinished())

    def once_more(self) -> None:
        """The run is live, but was not judged, so that what is made of it here is kept."""
        (self.folder / ONCE_MORE).touch()

    def why_everybody(self) -> str | None:
        """Why nobody's lists are carried over; None where they may be."""
        found = read_or_none(Everybody, self.everybody)
        return found and found.because

    def unfinished(self) -> Path:
        """A file that no other process writes."""
        return self.folder / f"{UNFINISHED}{secrets.token_hex(8)}"

    def sweep(self) -> None:
        """Remove what killed processes were writing. Only who is alone may."""
        for left in self.folder.glob(f"{UNFINISHED}*"):
            left.unlink()

    def sidecar(self, name: str) -> Path:
        """Where it is written that a part is finished."""
        return self.sidecars / f"{Path(name).stem}.json"

    def finished(self) -> int:
        """How many parts are finished."""
        return sum(1 for _ in self.sidecars.glob("part-*.json"))

    def close(self) -> None:
        """Keep what is finished for the next time, and nothing else."""
        self.sweep()
        if self.folder.is_dir() and not self.finished():
            shutil.rmtree(self.folder)

    def fail(self) -> Path:
        """Set the run aside as evidence; where it lies now."""
        make_folder(self.failed.parent)
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


def told(made_with: MadeWith | None) -> str:
    """What parts are made with, for a sentence."""
    if made_with is None:
        return "something unknown"
    return ", ".join([made_with.device, *(f"{name} {version}" for name, version in made_with.versions.items())])


@contextmanager
def working(recs: Published, plan: Plan) -> Iterator[Work]:
    """The folder of a run; when the block ends, however it does, only finished parts are kept in it."""
    work = Work(recs, plan.run_date, plan.run_id)
    work.begin(None if plan.how.executor == "shards" else MadeWith.here(plan.device))
    try:
        yield work
    finally:
        work.close()
