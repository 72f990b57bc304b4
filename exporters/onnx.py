"""One part as ONNX: a single file, from the eager module by torch.export, its axes named by their letters."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, ValueInfoProto

from exporters.parts import Part, by_name, call_of, typed
from rec_export.errors import ModelError

OPSET = 20  # torch's default
MOST_BYTES = 2**31 - 2**20  # protobuf's limit for a file, less some room for the graph
DTYPES = {"INT64": "int64", "FLOAT": "float32"}


def write_onnx(part: Part, path: Path, labels: dict[str, str]) -> None:
    """Write {part}.onnx. Raises ModelError when the weights do not fit into one file."""
    size = sum(value.nbytes for value in part.module.state_dict().values())
    if size > MOST_BYTES:
        raise ModelError(
            f"the {part.name} has {size:,} bytes of weights and an ONNX file holds at most 2 GiB;"
            " export it with `rec-export torchscript`, or train with a smaller dim"
        )
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            by_name(part),
            **call_of(part),
            dynamo=True,
            opset_version=OPSET,
            input_names=[port.name for port in part.inputs],
            output_names=[part.output.name],
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(labels)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # torch leaves stack traces there, with the paths of this machine
    program.save(path, external_data=False)


def onnx_fault(part: Part, path: Path, labels: dict[str, str]) -> str | None:
    """How the file differs from the part in what it takes and gives, or None."""
    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        return f"it is not valid ONNX: {str(error).splitlines()[0]}"
    model = onnx.load(path)
    ports = [read_port(value) for value in (*model.graph.input, *model.graph.output)]
    wanted = [f"{port.name} {typed(port)}" for port in (*part.inputs, part.output)]
    if ports != wanted:
        return f"its inputs and output are {', '.join(ports)} instead of {', '.join(wanted)}"
    if {prop.key: prop.value for prop in model.metadata_props} != labels:
        return f"its labels are {[(prop.key, prop.value) for prop in model.metadata_props]}"
    return None


def read_port(value: ValueInfoProto) -> str:
    """An input or output of an ONNX graph in the words of parts.typed."""
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
