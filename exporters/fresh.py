"""Run exported files in a process and a directory of their own, and refuse what does not run."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from exporters import candidate
from exporters.cases import Arrays, Case
from rec_export.errors import DeviceError, ParityError
from rec_export.runtime import Engine


def outputs_of(folder: Path, form: Engine, cases: dict[str, list[Case]], device: str = "cpu") -> Arrays:
    """What the exported files give for every case of every part, by part|case, and by part|case|output for lists.

    Raises ParityError where they do not run, DeviceError where ONNX Runtime has no provider for the device.
    """
    inputs = {
        f"{part}|{case.name}|{name}": np.asarray(array, order="C")
        for part, tried in cases.items()
        for case in tried
        for name, array in case.inputs.items()
    }
    with tempfile.TemporaryDirectory() as place:
        given, out = Path(place, "cases.safetensors"), Path(place, "out.safetensors")
        save_file(inputs, given)
        # -P keeps exporters/ off the path: its onnx.py is not the onnx that libraries import
        command = [sys.executable, "-P", candidate.__file__, str(folder.resolve()), form, str(given), str(out), device]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            last = (done.stdout or done.stderr).splitlines()[-1:]
            if done.returncode == candidate.NO_DEVICE:
                raise DeviceError(f"{' '.join(last)}; use --device cpu, or see `rec-export doctor`")
            raise refused(form, f"{' '.join(last)} (its process ended with exit code {done.returncode})")
        return load_file(out)


def refused(artefact: str, fault: str) -> ParityError:
    """The sentence for an export that is not the trained model."""
    return ParityError(
        f"{artefact} is not the trained model: {fault}; use another format, and report what you see here"
    )
