"""One part as ONNX: from the program that torch.export finds in the eager module, its axes named by their letters."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx import ModelProto, TensorProto, ValueInfoProto

from exporters.one_batch import hold_together
from exporters.parts import Part, described
from exporters.program import call_of
from rec_export.towers import Input

OPSET = 20  # torch's default
LEAST_RUNTIME = "1.26"  # up to 1.24 ONNX Runtime dies on a batch of no rows
MOST_BYTES = 1_500_000_000  # of weights in one file; protobuf's limit is 2 GiB
DTYPES = {"INT64": "int64", "FLOAT": "float32", "BOOL": "bool", "STRING": "string"}


def write_onnx(part: Part, path: Path, labels: dict[str, str], opset: int = OPSET) -> None:
    """Write {part}.onnx."""
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            part.program,
            **call_of(part.inputs),
            dynamo=True,
            opset_version=opset,
            input_names=[port.name for port in part.inputs],
            output_names=[part.output.name],
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(labels)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # torch leaves stack traces there, with the paths of this machine
    model = program.model_proto
    hold_together(model)
    save(model, path)


def save(model: ModelProto, path: Path) -> None:
    """Write {path}, and beside it {path}.data where the weights are too large for one file."""
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > MOST_BYTES
    onnx.save_model(model, path, save_as_external_data=large, location=f"{path.name}.data")


def onnx_fault(part: Part, path: Path, labels: dict[str, str]) -> str | None:
    """How the file differs from the part in what it takes and gives, or None."""
    return file_fault(path, (*part.inputs, part.output), labels)


def file_fault(path: Path, wanted: Sequence[Input], labels: dict[str, str]) -> str | None:
    """How a file is not valid ONNX with these inputs and outputs, these labels and its weights beside it, or None."""
    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        return f"it is not valid ONNX: {str(error).splitlines()[0]}"
    model = onnx.load(path, load_external_data=False)
    ports = [read_port(value) for value in (*model.graph.input, *model.graph.output)]
    if ports != [described(port) for port in wanted]:
        return f"its inputs and outputs are {', '.join(ports)} instead of {', '.join(map(described, wanted))}"
    if {prop.key: prop.value for prop in model.metadata_props} != labels:
        return f"its labels are {[(prop.key, prop.value) for prop in model.metadata_props]}"
    places = {e.value for weight in model.graph.initializer for e in weight.external_data if e.key == "location"}
    return None if places <= {f"{path.name}.data"} else f"its weights are in {', '.join(sorted(places))}"


def read_port(value: ValueInfoProto) -> str:
    """An input or output of an ONNX graph in the words of parts.described."""
    kind = value.type.tensor_type
    axes = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    dtype = DTYPES.get(TensorProto.DataType.Name(kind.elem_type), "another type")
    return f"{value.name} {dtype}[{','.join(str(axis) for axis in axes)}]"


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch.onnx says on every export that is right: it is noise to the user, and only here."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    registration.addFilter(no_torchvision)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*treespec, LeafSpec", FutureWarning)
            # inputs share their first axis; that is what we asked for
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)
            yield
    finally:
        registration.removeFilter(no_torchvision)


def no_torchvision(record: logging.LogRecord) -> bool:
    """Whether a log record is about anything but torchvision, which no model here uses."""
    return "torchvision is not installed" not in record.getMessage()
