"""Every graph refuses inputs that are not about the same number of rows, at every level of optimisation."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnxruntime import GraphOptimizationLevel

from exporters.one_batch import hold_together

GRAPHS = "user_tower", "item_tower", "recommender", "item_features"
KINDS = {"tensor(int64)": np.int64, "tensor(float)": np.float32, "tensor(bool)": np.bool_, "tensor(string)": object}


def session(path: Path, level: GraphOptimizationLevel) -> onnxruntime.InferenceSession:
    """A graph on the CPU, which does not print what it refuses."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = level, 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def inputs_of(graph: onnxruntime.InferenceSession, rows: dict[str, int], usual: int) -> dict[str, np.ndarray]:
    """Zeros, or empty strings, of so many rows, and one for `k`."""
    made: dict[str, np.ndarray] = {}
    for port in graph.get_inputs():
        shape = [(rows.get(port.name, usual) if place == 0 else 2) if isinstance(axis, str) else axis
                 for place, axis in enumerate(port.shape)]  # fmt: skip
        made[port.name] = np.full(shape, "" if port.type == "tensor(string)" else int(not shape), KINDS[port.type])
    return made


@pytest.mark.parametrize("level", [GraphOptimizationLevel.ORT_DISABLE_ALL, GraphOptimizationLevel.ORT_ENABLE_ALL])
@pytest.mark.parametrize("name", GRAPHS)
def test_one_row_of_an_input_is_not_stretched_to_the_rows_of_the_others(
    name: str, level: GraphOptimizationLevel, exported: Path
) -> None:
    graph = session(exported / "onnx" / f"{name}.onnx", level)
    several = [port.name for port in graph.get_inputs() if port.shape]
    assert len(several) > 1
    for port in several:
        for odd, usual in ((1, 3), (3, 1), (2, 3), (0, 3)):
            with pytest.raises(Exception, match=r"as_many_rows_of|[Ii]ncompat|[Dd]imension|[Ss]hape"):
                graph.run(None, inputs_of(graph, {port: odd}, usual))


def test_columns_may_be_called_as_the_checks_are() -> None:
    names = "tags", "tags_shape", "tags_width", "tags_of_one_batch", "N_of_tags", "a"
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", f"T{n}"]) for n, name in enumerate(names)]
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, ["N", "T"])
    graph = helper.make_graph([helper.make_node("Concat", names, ["made"], axis=1)], "g", ports, [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    hold_together(model)
    onnx.checker.check_model(model, full_check=True)
    run = onnxruntime.InferenceSession(model.SerializeToString()).run
    inputs = {name: np.full((2, 1), n, np.float32) for n, name in enumerate(names)}
    assert run(None, inputs)[0].tolist() == [[0, 1, 2, 3, 4, 5]] * 2


@pytest.mark.parametrize("name", ["user_tower", "item_tower"])
def test_torchscript_does_not_stretch_them_either(name: str, exported: Path) -> None:
    tower = torch.jit.load(exported / "torchscript" / f"{name}.pt")
    ports = session(exported / "onnx" / f"{name}.onnx", GraphOptimizationLevel.ORT_ENABLE_ALL)
    for port in ports.get_inputs():
        for odd, usual in ((1, 3), (3, 1), (2, 3), (0, 3)):
            inputs = inputs_of(ports, {port.name: odd}, usual)
            with pytest.raises(torch.jit.Error, match=r"ValueError: \w+ has \d rows, and \w+ \d"):
                tower({key: torch.from_numpy(value) for key, value in inputs.items()})


@pytest.mark.parametrize("name", GRAPHS)
def test_rows_that_agree_are_taken_however_many(name: str, exported: Path) -> None:
    graph = session(exported / "onnx" / f"{name}.onnx", GraphOptimizationLevel.ORT_ENABLE_ALL)
    one = graph.run(None, inputs_of(graph, {}, 1))
    for rows in (0, 1, 3, 4097):
        for alone, found in zip(one, graph.run(None, inputs_of(graph, {}, rows)), strict=True):
            np.testing.assert_allclose(found, np.repeat(alone, rows, 0), atol=1e-6)
