"""What others would say to an exported file with a fault: two checkers, beside our own.

    optimum   the rule of optimum-onnx, optimum/exporters/onnx/convert.py (`_run_validation`): one random input of the
              shapes of the export, numpy's allclose with its rtol 1e-5 and atol 1e-5. It is given the trained model as
              its reference; optimum takes the model as it was patched for the export, which hides more
    torch     torch.onnx.verification.verify_onnx_program on the file, with the thresholds of torch.onnx.export(...,
              verify=True) (torch/onnx/_internal/exporter/_core.py of 2.13): 5e-3 absolute, 1e-1 relative, on the same
              input. Its reference is the program that was exported, as it has no other

Optimum and torch only warn; here a warning counts as found.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir
import onnxruntime
import torch
from torch.onnx.verification import verify_onnx_program

from exporters.cases import Arrays, Source
from exporters.onnx import quiet
from exporters.parts import Part
from exporters.program import EXAMPLE, by_name, call_of
from tests.exporters.conftest import whole
from tests.faults.exports import Planted, dummy_row

ROW_OF_DUMMY = 0  # which item of the dummy input has its row made NaN


def dummy(part: Part, checkpoint: Path) -> Arrays:
    """One plausible input of the shapes of the export: rows, attributes and histories that exist."""
    if part.name == "pair_head":
        random = np.random.default_rng(0)
        width = [int(port.shape[1]) for port in part.inputs]
        users, items = (random.normal(size=(EXAMPLE[a], w)) for a, w in zip("BN", width, strict=True))
        return {"user_vec": users.astype(np.float32), "item_vec": items.astype(np.float32)}
    _, blueprint, catalogue = whole(checkpoint)
    side = catalogue.users if part.name == "user_tower" else catalogue.items
    source = Source(part.inputs, side, catalogue.items.trained, blueprint.data.history)
    inputs = source.batch(EXAMPLE["B" if side is catalogue.users else "N"], length=EXAMPLE["L"])
    if part.name == "item_tower":
        inputs["row"][ROW_OF_DUMMY] = dummy_row()
        inputs["dense"] = np.nan_to_num(inputs["dense"], nan=20.0)
    return inputs


def verdict(checker: Callable[[Planted, Arrays], str | None], planted: Planted, inputs: Arrays) -> str | None:
    """What a checker finds, or None; a file that it cannot run is found too."""
    onnxruntime.set_default_logger_severity(4)
    try:
        return checker(planted, inputs)
    except Exception as error:  # onnxruntime's errors have no common class but Exception
        return f"fails: {str(error).splitlines()[0][:60]}"


def optimum(planted: Planted, inputs: Arrays) -> str | None:
    """What the rule of optimum-onnx finds, or None."""
    reference = planted.part.run({name: torch.from_numpy(array) for name, array in inputs.items()}).numpy()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    (found,) = onnxruntime.InferenceSession(planted.file, options, ["CPUExecutionProvider"]).run(None, inputs)
    if found.shape != reference.shape:
        return f"another shape, {list(found.shape)}"
    if np.allclose(reference, found, atol=1e-5):
        return None
    return f"off by {np.abs(reference - found).max():.2g}"


def verify(planted: Planted, inputs: Arrays) -> str | None:
    """What torch's own verification finds, or None."""
    module, ports = planted.exported.module, planted.exported.inputs
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(by_name(module, ports), **call_of(ports), dynamo=True, verbose=False)
        assert program is not None
        program.model = onnx_ir.external_data.load_to_model(onnx_ir.load(planted.file))
        (found,) = verify_onnx_program(program, (), tensors)
    wrong = found.max_abs_diff >= 5e-3 or found.max_rel_diff >= 1e-1
    return f"off by {found.max_abs_diff:.2g}" if wrong else None
