"""What runs towers: torch, TorchScript, pt2 and ONNX Runtime, each by a model of one matrix."""

import ctypes
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from rec_export.doctor.finding import Finding, UnfitError, tried

INSTALL = "pip install -c constraints.txt ."
GPU = "without it --device cuda ends with exit code 69"


def engine_findings() -> Iterator[Finding]:
    """Each engine on the CPU, and the two that know CUDA there."""
    yield tried("torch", lambda: torch_product("cpu"), INSTALL)
    yield tried("cuda", lambda: torch_product("cuda"), f"for a GPU: its driver, and a torch built for CUDA; {GPU}")
    yield tried("torchscript", scripted, "use a Python below 3.14 and the torch of constraints.txt")
    yield tried("pt2", exported, INSTALL)
    yield tried("onnx", lambda: onnx_product("CPUExecutionProvider"), INSTALL)
    yield tried(
        "onnx cuda", lambda: onnx_product("CUDAExecutionProvider"), f"for a GPU: onnxruntime-gpu and its CUDA; {GPU}"
    )


def torch_product(device: str) -> str:
    """A product of two matrices, which must be right."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        raise UnfitError(f"torch {torch.__version__} " + (f"for CUDA {built} sees no GPU" if built else "has no CUDA"))
    matrix = torch.eye(64, device=device) * 2
    product = (matrix @ matrix).cpu()
    if not torch.equal(product, torch.eye(64) * 4):
        raise UnfitError("a product of matrices is wrong")
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    return f"torch {torch.__version__}, {where}"


def scripted() -> str:
    """A module that is scripted, written, read and run."""
    import torch

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        path = Path(folder, "module.pt")
        torch.jit.script(torch.nn.ReLU()).save(str(path))
        same = torch.equal(torch.jit.load(path)(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))
    if not same:
        raise UnfitError("a scripted module computes something else")
    return "a module was scripted, written, read and run"


def exported() -> str:
    """The same by torch.export."""
    import torch

    from rec_export.pt2 import pt2_bytes, read_pt2

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program.pt2")
        path.write_bytes(pt2_bytes(torch.export.export(torch.nn.ReLU(), (torch.zeros(2),)), {}))
        program, _ = read_pt2(path)
        same = torch.equal(program.module()(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))
    if not same:
        raise UnfitError("an exported program computes something else")
    return "a program was exported, written, read and run"


def onnx_product(provider: str) -> str:
    """A session that a provider takes, and a product in it."""
    import numpy as np
    import onnxruntime as ort

    from rec_export.runtime import session_of

    if provider not in ort.get_available_providers():
        raise UnfitError(f"this build of onnxruntime {ort.__version__} has no {provider}")
    session = session_of(product_graph(), provider)
    if session.get_providers()[0] != provider:
        raise UnfitError(f"a session fell back to {', '.join(session.get_providers())}{missing_library(provider)}")
    (product,) = session.run(None, {"x": np.eye(4, dtype=np.float32) * 2})
    if not np.array_equal(product, np.eye(4) * 4):
        raise UnfitError("a product of matrices is wrong")
    return f"onnxruntime {ort.__version__}, {provider} took a session"


def product_graph() -> bytes:
    """x -> x @ x, of the opset and IR that our exports have."""
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "x"], ["y"])], "product", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def missing_library(provider: str) -> str:
    """Which library ONNX Runtime does not find, as the loader of the system says it."""
    import onnxruntime as ort

    name = provider.removesuffix("ExecutionProvider").lower()
    path = Path(ort.__file__).parent / "capi" / f"libonnxruntime_providers_{name}.so"
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return f" ({error})"
    return ""
