"""Run the exported parts of a bundle, one call after another: python -P candidate.py BUNDLE FORMAT.

It imports nothing of rec-export, and for ONNX no torch: what is shown is that the files stand alone. A request on stdin
and an answer on stdout are eight bytes, little-endian, and as many bytes of safetensors as they say. The arrays of a
request are named part|input|order, those of an answer by output; an answer may instead hold, as UTF-8, what went wrong.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Run = Callable[[Arrays], Arrays]
HEAD = "pair_head"
PARTS = "user_tower", "item_tower", HEAD
RECOMMENDER = "recommender"
LISTS = "real rows"  # the case of both towers whose vectors the head scores against each other
OUTPUT = "output"  # of a tower or the head, which have one
UNLOADABLE, FAILS = "cannot be loaded", "fails"  # instead of outputs


def torchscript(folder: Path, part: str) -> Run:
    """A scripted part."""
    import torch

    module = torch.jit.load(folder / f"torchscript/{part}.pt")

    def run(inputs: Arrays) -> Arrays:
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        with torch.inference_mode():
            output = module(tensors["user_vec"], tensors["item_vec"]) if part == HEAD else module(tensors)
        return {OUTPUT: output.numpy()}

    return run


def pt2(folder: Path, part: str) -> Run:
    """A program of torch.export."""
    import torch

    module = torch.export.load(folder / f"pt2/{part}.pt2").module()

    def run(inputs: Arrays) -> Arrays:
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        with torch.inference_mode():
            return {OUTPUT: module(**tensors).numpy()}

    return run


def onnx(folder: Path, part: str) -> Run:
    """A file in ONNX Runtime on the CPU, at the default level of optimisation: the one that users run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / f"onnx/{part}.onnx", options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    names = [OUTPUT] if part in PARTS else names
    return lambda inputs: dict(zip(names, session.run(None, inputs), strict=True))


FORMATS = {"torchscript": torchscript, "onnx": onnx, "pt2": pt2}


def answer(folder: Path, form: str, loaded: dict[str, Run], request: Arrays) -> Arrays:
    """What a part gives, or what went wrong."""
    part = next(iter(request)).split("|")[0]
    doing = UNLOADABLE
    try:
        if part not in loaded:
            loaded[part] = FORMATS[form](folder, part)
        doing = FAILS
        outputs = loaded[part](dict(unpacked(key, array) for key, array in request.items()))
    except Exception as error:  # onnxruntime's errors have no common class but Exception
        said = (str(error).strip() or type(error).__name__).splitlines()[-1]
        return {doing: np.frombuffer(said.encode(), np.uint8)}
    return {name: np.ascontiguousarray(array) for name, array in outputs.items()}


def unpacked(key: str, array: Array) -> tuple[str, Array]:
    """An input as its caller held it: "F" lies in memory column by column, "S" holds strings, sent as JSON."""
    _, name, order = key.split("|")
    if order == "S":
        shape, strings = json.loads(array.tobytes())
        return name, np.array(strings, object).reshape(shape)
    return name, array.T if order == "F" else array


def main(bundle: str, form: str) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    loaded: dict[str, Run] = {}
    while size := sys.stdin.buffer.read(8):
        request = load(sys.stdin.buffer.read(int.from_bytes(size, "little")))
        found = save(answer(Path(bundle), form, loaded, request))
        answers.write(len(found).to_bytes(8, "little") + found)
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
