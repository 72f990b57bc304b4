"""Run the exported parts of a bundle on prepared cases: python -P candidate.py BUNDLE FORMAT CASES OUT DEVICE.

It imports nothing of rec-export, and for ONNX no torch: what is shown is that the files stand alone. CASES and OUT are
safetensors; the arrays of CASES are named part|case|input, those of OUT part|case, or recommender|case|output. The last
line on stdout says what went wrong; exit code 69 that the device could not be had.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

Array = npt.NDArray[Any]
Run = Callable[[dict[str, Array]], Array]
HEAD = "pair_head"
RECOMMENDER = "recommender"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
NO_DEVICE = 69
LISTS = "real rows"  # the case of both towers whose vectors the head scores against each other


def torchscript(folder: Path, part: str, device: str) -> Run:
    """A scripted part."""
    import torch

    module = torch.jit.load(folder / f"torchscript/{part}.pt", map_location=device)

    def run(inputs: dict[str, Array]) -> Array:
        tensors = {name: torch.from_numpy(value).to(device) for name, value in inputs.items()}
        with torch.inference_mode():
            output = module(tensors["user_vec"], tensors["item_vec"]) if part == HEAD else module(tensors)
        array: Array = output.cpu().numpy()
        return array

    return run


def pt2(folder: Path, part: str, device: str) -> Run:
    """A program of torch.export."""
    import torch
    from torch.export.passes import move_to_device_pass

    program = torch.export.load(folder / f"pt2/{part}.pt2")
    module = (program if device == "cpu" else move_to_device_pass(program, device)).module()

    def run(inputs: dict[str, Array]) -> Array:
        tensors = {name: torch.from_numpy(value).to(device) for name, value in inputs.items()}
        with torch.inference_mode():
            array: Array = module(**tensors).cpu().numpy()
        return array

    return run


def onnx(folder: Path, part: str, device: str, kind: str = "") -> Run:
    """A part in ONNX Runtime, or its smaller copy of a kind."""
    part_session = session(folder, part + kind, device)
    return lambda inputs: part_session.run(None, inputs)[0]


def session(folder: Path, part: str, device: str) -> Any:
    """A file in ONNX Runtime on a device, at the default level of optimisation: the one that users run."""
    import onnxruntime

    if device != "cpu":
        onnxruntime.preload_dlls()  # as there is no torch here, which would have loaded CUDA
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    wanted = [PROVIDERS[device], *({"CPUExecutionProvider"} - {PROVIDERS[device]})]
    there = [name for name in wanted if name in onnxruntime.get_available_providers()]
    made = onnxruntime.InferenceSession(folder / f"onnx/{part}.onnx", options, providers=there)
    if wanted[0] not in made.get_providers():
        say(f"\nONNX Runtime has no {wanted[0]} here (it has {', '.join(made.get_providers())})")
        sys.exit(NO_DEVICE)
    return made


FORMATS = {"torchscript": torchscript, "onnx": onnx, "pt2": pt2}
FORMATS |= {f"onnx-{kind}": partial(onnx, kind=f".{kind}") for kind in ("fp16", "int8")}


def main(bundle: str, form: str, cases: str, out: str, device: str) -> None:
    """Run all cases; the head after the towers, as it is also tried on their vectors of real rows."""
    given: dict[str, dict[str, dict[str, Array]]] = {}
    for key, array in load_file(cases).items():
        part, case, name = key.split("|")
        given.setdefault(part, {}).setdefault(case, {})[name] = array
    outputs: dict[str, Array] = {}
    for part in [name for name in ("user_tower", "item_tower", HEAD) if name in given]:
        say(f"\n{part} cannot be loaded: ")
        run = FORMATS[form](Path(bundle), part, device)
        if part == HEAD:
            given[HEAD][LISTS] = {side: outputs[f"{side[:4]}_tower|{LISTS}"] for side in ("user_vec", "item_vec")}
        for case, inputs in given[part].items():
            say(f"\n{part} fails in the case '{case}': ")
            outputs[f"{part}|{case}"] = run(inputs)
    if RECOMMENDER in given:
        outputs |= lists(Path(bundle), given[RECOMMENDER], device)
    save_file({name: np.ascontiguousarray(value) for name, value in outputs.items()}, out)


def lists(bundle: Path, cases: dict[str, dict[str, Array]], device: str) -> dict[str, Array]:
    """What recommender.onnx gives for each case, by recommender|case|output."""
    say(f"\n{RECOMMENDER} cannot be loaded: ")
    ranked = session(bundle, RECOMMENDER, device)
    names = [port.name for port in ranked.get_outputs()]
    outputs: dict[str, Array] = {}
    for case, inputs in cases.items():
        say(f"\n{RECOMMENDER} fails in the case '{case}': ")
        outputs |= {
            f"{RECOMMENDER}|{case}|{name}": array for name, array in zip(names, ranked.run(None, inputs), strict=True)
        }
    return outputs


def say(doing: str) -> None:
    """Tell what would have gone wrong if this were the last that is heard of this process."""
    sys.stdout.write(doing)
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # onnxruntime's errors have no common class but Exception
        say(str(error).strip().splitlines()[-1])
        sys.exit(1)
