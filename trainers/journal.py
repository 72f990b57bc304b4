"""What a training needs to go on where it was stopped, beside the checkpoint-to-be: safetensors and JSON."""

import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self, final

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rec_export.errors import DataError, ModelError, StorageError, TrainingError, UsageError
from rec_export.files import locked, new_directory, storage_errors, write_whole

log = logging.getLogger("rec_export")
SHARE = 0.05  # of the time that may be spent on saving
FACTS = "training.json"

Tensors = dict[str, Tensor]


@final
class Progress(NamedTuple):
    """A training between two epochs."""

    epochs: list[dict[str, Any]]  # as in history.jsonl
    best: int  # the best epoch so far, 0 before the first
    state: dict[str, Any]  # what JSON holds
    plan: dict[str, Any]  # by which the epochs were learned
    tensors: Tensors  # weights, and what else are tensors
    weights: Tensors  # the best epoch's weights; empty where they are not wanted, or are the last ones


@final
class Journal:
    """A hidden folder beside the checkpoint-to-be, with one subfolder for each phase of its training.

    `facts` say what is trained, on what; a journal with other facts is refused.
    """

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        self.out, self.folder = out, folder_of(out)
        self.facts = json.dumps(facts, indent=2, default=str)
        self.spent = 0.0  # seconds, in saving
        self.begun = time.monotonic()

    @classmethod
    def open(cls, out: Path, facts: dict[str, Any], resume: bool) -> Self:
        """Go on with what lies there, or begin anew. Raises UsageError where it is another training's.

        The caller holds the lock in the folder.
        """
        journal = cls(out, facts)
        there = journal.folder / FACTS
        if resume and there.is_file():
            if there.read_text(encoding="utf-8") != journal.facts:
                raise UsageError(
                    f"{journal.folder} is a training on other data or with other settings; train without --resume"
                )
            return journal
        if there.is_file():
            log.info("an unfinished training of %s is thrown away; --resume would have gone on with it", out)
        with storage_errors(out):
            for phase in journal.folder.iterdir():
                if phase.is_dir():
                    shutil.rmtree(phase)
            write_whole(there, journal.facts)
        return journal

    def due(self, last: bool) -> bool:
        """Whether there is time to save; for the `last` progress of a phase always."""
        return last or self.spent <= SHARE * (time.monotonic() - self.begun)

    def save(self, phase: str, progress: Progress) -> None:
        """Keep this instead of the phase's former progress."""
        started = time.monotonic()
        place, new, old = (self.folder / f"{phase}{ending}" for ending in ("", ".new", ".old"))
        for left in (new, old):  # by a kill
            shutil.rmtree(left, ignore_errors=True)
        with self.made(new) as folder:
            write_tensors(progress.tensors, folder / "state.safetensors")
            write_tensors(progress.weights, folder / "best.safetensors")
            words = {name: getattr(progress, name) for name in ("epochs", "best", "state", "plan")}
            (folder / "progress.json").write_text(json.dumps(words), encoding="utf-8")
        if place.exists():
            place.rename(old)
        new.rename(place)
        shutil.rmtree(old, ignore_errors=True)
        self.spent += time.monotonic() - started

    @contextmanager
    def made(self, path: Path) -> Iterator[Path]:
        """A new directory; a disk that is full is told of as if the checkpoint were written already."""
        try:
            with new_directory(path) as folder:
                yield folder
        except StorageError as error:
            raise StorageError(str(error).replace(str(path), str(self.out))) from error

    def load(self, phase: str) -> Progress | None:
        """The newest progress of a phase; None where it has not begun."""
        names = (phase, f"{phase}.new", f"{phase}.old")  # a kill between two renames leaves one of the others
        place = next((self.folder / name for name in names if (self.folder / name).is_dir()), None)
        if place is None:
            return None
        if place.name != phase:
            place = place.rename(self.folder / phase)
        try:
            words = json.loads((place / "progress.json").read_text(encoding="utf-8"))
            tensors, weights = load_file(place / "state.safetensors"), load_file(place / "best.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"{place} is damaged, so training cannot go on; train without --resume") from error
        return Progress(words["epochs"], words["best"], words["state"], words.get("plan", {}), tensors, weights)

    def remove(self) -> None:
        """Nothing is to be resumed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def kept(out: Path, facts: dict[str, Any], resume: bool) -> Iterator[Journal]:
    """A journal while a training lasts; it stays where the training was stopped and can go on.

    Raises BusyError where another process trains what is to lie there.
    """
    with storage_errors(out):
        folder_of(out).mkdir(parents=True, exist_ok=True)
    with locked(lock_of(out)):
        try:
            journal = Journal.open(out, facts, resume)
        except StorageError:
            shutil.rmtree(folder_of(out), ignore_errors=True)  # what was there is thrown away by then
            raise
        try:
            yield journal
        except Exception as error:
            # A mistake would only come again; what ran out of room can go on, if an epoch was saved.
            if isinstance(error, (UsageError, DataError, ModelError, TrainingError)) or journal.load("search") is None:
                journal.remove()
            raise
        except KeyboardInterrupt:
            if journal.load("search") is not None:
                how = "the same command" if resume else "the same command with --resume"
                log.warning("%s goes on after the last epoch that was saved", how)
            raise
        journal.remove()


def lock_of(out: Path) -> Path:
    """What a process holds as long as it trains a checkpoint."""
    return folder_of(out) / "lock"


def folder_of(out: Path) -> Path:
    """Where the journal of a checkpoint-to-be lies."""
    return out.with_name(f".{out.name}.training")


def write_tensors(tensors: Tensors, path: Path) -> None:
    """Write tensors, each on its own: a safetensors file has none that share memory, so of those copies are made."""
    times = Counter(value.untyped_storage().data_ptr() for value in tensors.values())
    alone = {
        name: value if times[value.untyped_storage().data_ptr()] == 1 else value.clone()
        for name, value in tensors.items()
    }
    save_file({name: value.contiguous() for name, value in alone.items()}, path)
