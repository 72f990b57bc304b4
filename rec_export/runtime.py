"""Exported towers as functions: load a tower file in any format and call it with named inputs.

On the CPU they run on one thread: on several a long sum may be cut in as many parts, which changes its last bit.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rec_export.aoti import check_machine
from rec_export.choices import Engine, Lossy, Runtime
from rec_export.errors import DeviceError, ModelError
from rec_export.topk.switches import one_thread
from rec_export.towers import Inputs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Tower = Callable[[Inputs], Tensor]
FILES: dict[Runtime, str] = {
    "torchscript": "torchscript/{}.pt",
    "onnx": "onnx/{}.onnx",
    "pt2": "pt2/{}.pt2",
    "aoti": "aoti/{}.pt2",
}
SMALLER: dict[Lossy, str] = {"onnx-fp16": "onnx/{}.fp16.onnx", "onnx-int8": "onnx/{}.int8.onnx"}


def load_tower(folder: Path, part: str, runtime: Engine, device: torch.device) -> Tower:
    """The tower `part` ("user_tower" or "item_tower") of the bundle in `folder`. ONNX gives vectors on the CPU."""
    path = folder / file_of(part, runtime)
    if not path.exists():
        raise ModelError(
            f"{folder} has no {file_of(part, runtime)}, as it was not exported for {runtime}; choose another runtime"
        )
    return LOADERS[runtime](path, device)


def file_of(part: str, runtime: Engine) -> str:
    """Where a part lies below the folder of a bundle."""
    return (SMALLER[runtime] if runtime == "onnx-fp16" or runtime == "onnx-int8" else FILES[runtime]).format(part)


def torchscript_tower(path: Path, device: torch.device) -> Tower:
    """A scripted tower."""
    try:
        module = torch.jit.load(path, map_location=device)
    except RuntimeError as error:
        raise ModelError(f"{path} is not a TorchScript file that torch {torch.__version__} reads") from error

    def run(inputs: Inputs) -> Tensor:
        with torch.inference_mode(), one_thread():
            return module({name: value.to(device) for name, value in inputs.items()})

    return run


def onnx_tower(path: Path, device: torch.device) -> Tower:
    """A tower in ONNX Runtime. A provider that did not load is an error, never a silent step back to the CPU."""
    wanted = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
    session = onnx_session(path, wanted, device.index or 0)
    if wanted not in session.get_providers():
        raise DeviceError(
            f"ONNX Runtime has no {wanted} here (it has {', '.join(session.get_providers())}); use --device cpu, or"
            " see `rec-export doctor`"
        )
    names = {port.name for port in session.get_inputs()}

    def run(inputs: Inputs) -> Tensor:
        feeds = {name: np.ascontiguousarray(value.numpy(force=True)) for name, value in inputs.items() if name in names}
        (vectors,) = session.run(None, feeds)
        return torch.from_numpy(vectors)

    return run


def pt2_tower(path: Path, device: torch.device) -> Tower:
    """A tower as torch.export's program."""
    from torch.export.passes import move_to_device_pass  # here, as torch.export takes two seconds

    from rec_export.pt2 import function_of, read_pt2

    program, _ = read_pt2(path)
    if device.type != "cpu":  # a program holds the device of its constants
        program = move_to_device_pass(program, device)
    call = function_of(program)

    def run(inputs: Inputs) -> Tensor:
        with torch.inference_mode(), one_thread():
            return call({name: value.to(device) for name, value in inputs.items()})

    return run


def aoti_tower(path: Path, device: torch.device) -> Tower:
    """A tower that was compiled for this machine. Raises EnvironmentMissingError on another one."""
    from torch._inductor import aoti_load_package  # here, as it takes a second

    check_machine(path)
    if device.type != "cpu":
        raise DeviceError(f"{path} was compiled for the CPU; use --device cpu, or another runtime")
    module = aoti_load_package(str(path))

    def run(inputs: Inputs) -> Tensor:
        with torch.inference_mode(), one_thread():
            return module(**{name: value.cpu().contiguous() for name, value in inputs.items()})

    return run


def onnx_session(path: Path, provider: str, place: int = 0) -> "InferenceSession":
    """An ONNX Runtime session of a file."""
    import onnx  # here, as only some need it; with onnxruntime 25 MB
    import onnxruntime as ort

    try:
        onnx.checker.check_model(path)  # also refuses weights in a file outside the folder, a link, or one of two names
        return session_of(path, provider, place)
    except Exception as error:  # onnxruntime's errors have no common class but Exception
        raise ModelError(
            f"{path} is not an ONNX file that onnxruntime {ort.__version__} runs: {str(error).splitlines()[0]}"
        ) from error


def session_of(model: Path | bytes, provider: str, place: int = 0) -> "InferenceSession":
    """A session at the optimisation level that users run, on a provider's device number `place`.

    ONNX Runtime steps back to the CPU where a provider does not load: ask `get_providers`. It is quiet, as what it
    prints of that is said by us.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # more would spin while they wait, at the cost of whatever else runs
    choices = {"CUDAExecutionProvider": {"device_id": place}}
    wanted = dict.fromkeys((provider, "CPUExecutionProvider"))
    available = [(name, choices.get(name, {})) for name in wanted if name in ort.get_available_providers()]
    ort.set_default_logger_severity(4)
    try:
        return ort.InferenceSession(model, options, providers=available)
    finally:
        ort.set_default_logger_severity(2)


LOADERS: dict[Engine, Callable[[Path, torch.device], Tower]] = {
    "torchscript": torchscript_tower,
    "onnx": onnx_tower,
    "pt2": pt2_tower,
    "aoti": aoti_tower,
    "onnx-fp16": onnx_tower,
    "onnx-int8": onnx_tower,
}
