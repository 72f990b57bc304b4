"""Run the exported parts of a bundle, one call after another: python -P candidate.py BUNDLE FORMAT DEVICE.

It imports nothing of rec-export, and for ONNX no torch: what is shown is that the files stand alone. A request on stdin
and an answer on stdout are eight bytes, little-endian, and as many bytes of safetensors as they say. The arrays of a
request are named part|input|order, those of an answer by output; an answer may instead hold, as UTF-8, what went wrong.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
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
UNLOADABLE, FAILS, NO_DEVICE = "cannot be loaded", "fails", "has no device"  # instead of outputs
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class NoDeviceError(Exception):
    """The device that was asked for did not load."""


def torchscript(folder: Path, part: str, device: str) -> Run:
    """A scripted part."""
    import torch

    module = torch.jit.load(folder / f"torchscript/{part}.pt", map_location=device)

    def run(inputs: Arrays) -> Arrays:
        tensors = {name: torch.from_numpy(value).to(device) for name, value in inputs.items()}
        with torch.inference_mode():
            output = module(tensors["user_vec"], tensors["item_vec"]) if part == HEAD else module(tensors)
        return {OUTPUT: output.cpu().numpy()}

    return run


def pt2(folder: Path, part: str, device: str) -> Run:
    """A program of torch.export."""
    import torch
    from torch.export.passes import move_to_device_pass

    program = torch.export.load(folder / f"pt2/{part}.pt2")
    module = (program if device == "cpu" else move_to_device_pass(program, device)).module()

    def run(inputs: Arrays) -> Arrays:
        tensors = {name: torch.from_numpy(value).to(device) for name, value in inputs.items()}
        with torch.inference_mode():
            return {OUTPUT: module(**tensors).cpu().numpy()}

    return run


def aoti(folder: Path, part: str, device: str) -> Run:
    """A program that was compiled for this machine; it reads memory as it lay in the export, row by row."""
    import torch
    from torch._inductor import aoti_load_package

    if device != "cpu":
        raise NoDeviceError("an AOTInductor package that was made on a CPU runs there alone")
    module = aoti_load_package(str(folder / f"aoti/{part}.pt2"))

    def run(inputs: Arrays) -> Arrays:
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in inputs.items()}
        with torch.inference_mode():
            return {OUTPUT: module(**tensors).numpy()}

    return run


def onnx(folder: Path, part: str, device: str, kind: str = "") -> Run:
    """A file in ONNX Runtime on a device, or its smaller copy; optimised by default, as users run it."""
    import onnxruntime

    if device != "cpu":
        onnxruntime.preload_dlls()  # as there is no torch here, which would have loaded CUDA
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    wanted = list(dict.fromkeys((PROVIDERS[device], PROVIDERS["cpu"])))
    there = [name for name in wanted if name in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(folder / f"onnx/{part}{kind}.onnx", options, providers=there)
    if wanted[0] not in session.get_providers():
        raise NoDeviceError(f"ONNX Runtime has no {wanted[0]} here (it has {', '.join(session.get_providers())})")
    names = [port.name for port in session.get_outputs()]
    names = [OUTPUT] if part in PARTS else names
    return lambda inputs: dict(zip(names, session.run(None, inputs), strict=True))


FORMATS = {"torchscript": torchscript, "onnx": onnx, "pt2": pt2, "aoti": aoti}
FORMATS |= {f"onnx-{kind}": partial(onnx, kind=f".{kind}") for kind in ("fp16", "int8")}


def answer(folder: Path, form: str, device: str, loaded: dict[str, Run], request: Arrays) -> Arrays:
    """What a part gives, or what went wrong."""
    part = next(iter(request)).split("|")[0]
    doing = UNLOADABLE
    try:
        if part not in loaded:
            loaded[part] = FORMATS[form](folder, part, device)
        doing = FAILS
        outputs = loaded[part](dict(unpacked(key, array) for key, array in request.items()))
    except NoDeviceError as error:
        return {NO_DEVICE: np.frombuffer(str(error).encode(), np.uint8)}
    except Exception as error:  # onnxruntime's errors have no common class but Exception
        said = (str(error).strip() or type(error).__name__).splitlines()[-1]
        return {doing: np.frombuffer(said.encode(), np.uint8)}
    return {name: np.ascontiguousarray(array) for name, array in outputs.items()}


def unpacked(key: str, array: Array) -> tuple[str, Array]:
    """An input as its caller held it: "F" lies in memory column by column, "S" holds strings, sent as JSON."""
    name, order = key.split("|", 1)[1].rsplit("|", 1)  # the name of a column may hold anything
    if order == "S":
        shape, strings = json.loads(array.tobytes())
        return name, np.array(strings, object).reshape(shape)
    return name, array.T if order == "F" else array


def main(bundle: str, form: str, device: str) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    loaded: dict[str, Run] = {}
    while size := sys.stdin.buffer.read(8):
        request = load(sys.stdin.buffer.read(int.from_bytes(size, "little")))
        found = save(answer(Path(bundle), form, device, loaded, request))
        answers.write(len(found).to_bytes(8, "little") + found)
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
