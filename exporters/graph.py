"""An ONNX graph put together by hand, one operator after another."""

from typing import Any, final

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from rec_export.towers import Input

TYPES = {
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}
DOMAINS = {"": 20, "ai.onnx.ml": 3, "com.microsoft": 1}
IR_VERSION = 10


@final
class Graph:
    """Nodes and constants under construction; values are known by their names."""

    def __init__(self, prefix: str = "value") -> None:
        self.proto = GraphProto()
        self.prefix = prefix
        self.names = 0

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add an operator with one output, named `out`; its domain may stand before its kind: ai.onnx.ml:Scaler."""
        domain, _, name = kind.rpartition(":")
        output = out or self.name()
        self.proto.node.append(helper.make_node(name, inputs, [output], domain=domain, **attributes))
        return output

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> str:
        """Add an array; text becomes an array of strings."""
        array, name = np.asarray(values, dtype), self.name()
        if array.dtype.kind in "UO":
            texts = [str(text).encode() for text in array.flat]
            tensor = TensorProto(name=name, data_type=TensorProto.STRING, dims=array.shape, string_data=texts)
            self.proto.initializer.append(tensor)
        else:
            self.proto.initializer.append(numpy_helper.from_array(array, name))
        return name

    def loop(self, held: str, body: "Graph") -> str:
        """Repeat `body` while it says `again` (bool), at least once: from the texts `held` to `kept`, string [M, .]."""
        types = {"at": ("int64", ()), "more": ("bool", ()), "held": ("string", ("M", None))}
        ports = {name: helper.make_tensor_value_info(name, TYPES[kind], shape) for name, (kind, shape) in types.items()}
        body.proto.name = "each"
        body.proto.input.extend(ports.values())
        for port, name in (("more", "again"), ("held", "kept")):
            body.proto.output.append(ports[port])
            body.proto.output[-1].name = name
        return self.op("Loop", "", "", held, body=body.proto)

    def name(self) -> str:
        """A name that no other value has."""
        self.names += 1
        return f"{self.prefix}_{self.names}"

    def model(self, name: str, inputs: tuple[Input, ...], outputs: tuple[Input, ...]) -> ModelProto:
        """The whole file."""
        self.proto.name = name
        self.proto.input.extend(map(value_of, inputs))
        self.proto.output.extend(map(value_of, outputs))
        opsets = [helper.make_opsetid(domain, version) for domain, version in DOMAINS.items()]
        return helper.make_model(self.proto, opset_imports=opsets, ir_version=IR_VERSION)


def value_of(port: Input) -> ValueInfoProto:
    """An input or output of a graph."""
    return helper.make_tensor_value_info(port.name, TYPES[port.dtype], port.shape)
