"""Run exported files in a process and a directory of their own, and refuse what does not run."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import TimeoutExpired
from threading import TIMEOUT_MAX, Event, Timer
from typing import final

import numpy as np
from safetensors.numpy import load, save

from exporters import candidate
from exporters.candidate import FAILS, HEAD, LISTS, NO_DEVICE, OUTPUT, UNLOADABLE
from exporters.cases import Array, Arrays, Case
from rec_export.choices import Engine
from rec_export.errors import DeviceError, ParityError, shorten

MOST_SAID = 10_000  # bytes of stderr that are looked at
LIMIT = 600.0  # seconds that one call may take, the start of the process and the loading of the file with it
LAST_BREATH = 10.0  # seconds in which a process must end once it is told to


@final
class RefusalError(ParityError):
    """An artefact is not the trained model; `case` is the call that shows it, where it is not its structure.

    `cut`: whether the call may be made smaller. One that is never answered would take its limit each time.
    """

    def __init__(self, artefact: str, fault: str, case: Case | None = None, cut: bool = True) -> None:
        super().__init__(
            f"{artefact} is not the trained model: {fault}; use another format, and report what you see here"
        )
        self.artefact, self.fault, self.case, self.cut = artefact, fault, case, cut


class CallError(Exception):
    """A file does not run; the text says how."""


class LoadError(CallError):
    """It cannot even be loaded."""


class LateError(CallError):
    """It has not answered in time, and was killed."""


@final
class Files:
    """The exported files of one format below a folder, in a process of their own that begins with the first call."""

    def __init__(self, folder: Path, form: Engine, place: Path, device: str = "cpu", limit: float = LIMIT) -> None:
        self.folder, self.form, self.place, self.device, self.limit = folder, form, place, device, limit
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, part: str, inputs: Arrays) -> Arrays:
        """The outputs of a part by name. Raises CallError, and DeviceError where the device did not load."""
        process = self.process = self.process or self.begun()
        request = save(dict(packed(part, name, array) for name, array in inputs.items()))
        try:
            told = exchanged(process, request, self.limit)
        except LateError:
            self.end()
            raise
        outputs = load(told) if told else {}
        if not outputs:
            raise CallError(f"ends its process with exit code {self.end()}{self.last_words()}")
        if NO_DEVICE in outputs:
            said = outputs[NO_DEVICE].tobytes().decode()
            raise DeviceError(f"{said}; use --device cpu, or see `rec-export doctor`")
        for wrong, error in ((UNLOADABLE, LoadError), (FAILS, CallError)):
            if wrong in outputs:
                raise error(f"{wrong}: {outputs[wrong].tobytes().decode()}")
        return outputs

    def begun(self) -> subprocess.Popen[bytes]:
        """A new process, whose stderr goes to a file."""
        # -P keeps exporters/ off the path: its onnx.py is not the onnx that libraries import
        command = [sys.executable, "-P", candidate.__file__, str(self.folder.resolve()), self.form, self.device]
        with (self.place / "stderr").open("wb") as errors:
            return subprocess.Popen(
                command, cwd=self.place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )

    def end(self) -> int:
        """Let the process end; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it may be dead already
            process.stdin.close()
        try:
            process.wait(LAST_BREATH)
        except TimeoutExpired:
            process.kill()
        with suppress(BrokenPipeError), process:  # which closes the pipes
            pass
        return process.wait()

    def last_words(self) -> str:
        """The last line of stderr, after a colon."""
        with (self.place / "stderr").open("rb") as said:
            said.seek(max(0, said.seek(0, os.SEEK_END) - MOST_SAID))
            lines = said.read().decode(errors="replace").splitlines()
        return f": {shorten(lines[-1], 200)}" if lines else ""


def exchanged(process: "subprocess.Popen[bytes]", request: bytes, limit: float) -> bytes:
    """The answer of a process; nothing where it dies before. Raises LateError, and kills it, after `limit` seconds."""
    assert process.stdin is not None
    assert process.stdout is not None
    late = Event()

    def stop() -> None:
        late.set()
        process.kill()

    alarm = Timer(min(limit, TIMEOUT_MAX), stop)  # inf is no limit
    alarm.start()
    try:
        with suppress(BrokenPipeError):  # it has died; the answer that is missing says so
            process.stdin.write(len(request).to_bytes(8, "little") + request)
            process.stdin.flush()
        size = int.from_bytes(process.stdout.read(8), "little")
        told = process.stdout.read(size)
    finally:
        alarm.cancel()
    if late.is_set():
        raise LateError(f"has not answered within {limit:g} seconds and was killed")
    return told if len(told) == size else b""  # or it died while it wrote


@contextmanager
def fresh(folder: Path, form: Engine, device: str = "cpu", limit: float = LIMIT) -> Iterator[Files]:
    """The exported files of a format below `folder`, until the block ends."""
    with tempfile.TemporaryDirectory() as place:
        files = Files(folder, form, Path(place), device, limit)
        try:
            yield files
        finally:
            files.end()


def outputs_of(
    folder: Path, form: Engine, cases: dict[str, list[Case]], device: str = "cpu", limit: float = LIMIT
) -> Arrays:
    """What the exported files give for every case of every part, by part|case, and by part|case|output for lists.

    In the case of real rows the head reads what the exported towers gave, not what they should. Raises RefusalError.
    """
    found: Arrays = {}
    with fresh(folder, form, device, limit) as files:
        for part, tried in cases.items():
            for case in tried:
                whole = (part, case.name) == (HEAD, LISTS)
                try:
                    outputs = files(part, real_vectors(found) if whole else case.inputs)
                except LoadError as error:
                    raise RefusalError(f"{form}/{part}", f"it {error}") from error
                except CallError as error:
                    cut = not isinstance(error, LateError)
                    raise RefusalError(f"{form}/{part}", f"in the case {case.name!r} it {error}", case, cut) from error
                found |= {named(part, case.name, name): array for name, array in outputs.items()}
    return found


def packed(part: str, name: str, array: Array) -> tuple[str, Array]:
    """An input as part|input|order, to be read by candidate.unpacked; safetensors know no strings and one order."""
    if array.dtype == object:
        text = json.dumps([array.shape, array.ravel().tolist()])
        return f"{part}|{name}|S", np.frombuffer(text.encode(), np.uint8)
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return f"{part}|{name}|F", array.T
    return f"{part}|{name}|C", np.asarray(array, order="C")


def real_vectors(found: Arrays) -> Arrays:
    """The exported towers' vectors of real rows, as the head takes them."""
    return {side: found[f"{side[:4]}_tower|{LISTS}"] for side in ("user_vec", "item_vec")}


def named(part: str, case: str, output: str) -> str:
    """The name of an output in `outputs_of`."""
    return f"{part}|{case}" if output == OUTPUT else f"{part}|{case}|{output}"
