"""A smaller copy of an ONNX tower: its tables of weights as float16 or int8, all that is computed stays float32.

    fp16   Gather(float16 [n, D]) -> Cast
    int8   Gather(int8 [n, D]) -> Cast, times Gather(float32 [n, 1]): a scale for each row

So only the rows that are looked up are widened, and nothing that is computed can overflow. A matrix that is multiplied
is widened whole, which ONNX Runtime does once, when it loads the file. Standard operators alone: whatever runs the
exact tower runs this one. Quantised products (MatMulInteger) would round what is computed too, for weights that are a
hundredth of the bytes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from exporters.onnx import save
from rec_export.choices import Lossy
from rec_export.data.columns import Float32
from rec_export.runtime import FILES, SMALLER

LEAST = 1024  # numbers of a tensor that is worth it
NARROW = 8  # columns below which a scale for each row takes more than it saves: such a table becomes float16
MOST = {"onnx-int8": 127}
LABEL = "rec_export.variant"


def write_smaller(folder: Path, part: str, kind: Lossy) -> str | None:
    """Write the smaller copy of onnx/{part}.onnx beside it; why it cannot be, or None."""
    model = onnx.load(folder / FILES["onnx"].format(part))
    packed = {weight.name: pack(weight, kind) for weight in model.graph.initializer if is_table(weight)}
    lost = {name: bad for name, arrays in packed.items() if (bad := overflown(arrays))}
    if lost:
        name = next(iter(lost))
        return f"{lost[name]:,} numbers of {part}'s {name} are beyond what float16 holds (65,504)"
    put(model.graph, packed)
    helper.set_model_props(model, {prop.key: prop.value for prop in model.metadata_props} | {LABEL: kind})
    save(model, folder / SMALLER[kind].format(part))
    return None


def is_table(weight: TensorProto) -> bool:
    """Whether a constant is a matrix of float32 that is worth it."""
    return weight.data_type == TensorProto.FLOAT and len(weight.dims) == 2 and int(np.prod(weight.dims)) >= LEAST


def pack(weight: TensorProto, kind: Lossy) -> dict[str, np.ndarray]:
    """A matrix in fewer bytes, by the ending of a name: one array, or the numbers and the scale of each row."""
    table: Float32 = numpy_helper.to_array(weight)
    if kind == "onnx-fp16" or table.shape[1] < NARROW:
        with np.errstate(over="ignore"):  # told by `overflown`
            return {".fp16": table.astype(np.float16)}
    scale = np.abs(table).max(axis=1, keepdims=True) / MOST[kind]
    scale[scale == 0] = 1
    return {".int8": np.rint(table / scale).astype(np.int8), ".scale": scale.astype(np.float32)}


def overflown(arrays: dict[str, np.ndarray]) -> int:
    """How many numbers are infinite, which they were not: weights that are not finite are never exported."""
    return sum(int((~np.isfinite(array)).sum()) for array in arrays.values())


def put(graph: GraphProto, packed: dict[str, dict[str, np.ndarray]]) -> None:
    """Put packed tables in the place of those that they were made from."""
    others = [weight for weight in graph.initializer if weight.name not in packed]
    tables = [numpy_helper.from_array(array, name + end) for name in packed for end, array in packed[name].items()]
    nodes = list(graph.node)
    looked_up = [node.input[0] for node in nodes if is_look_up(node)]
    whole = [name for name in packed if name in {one for node in nodes for one in node.input if not is_look_up(node)}]
    rows = [made for node in nodes for made in (look_up(node, packed) if is_look_up(node) else [node])]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*others, *(t for t in tables if t.name.rpartition(".")[0] in {*looked_up, *whole})])
    graph.node.extend([made for name in whole for made in widened(name, name, list(packed[name]))] + rows)


def is_look_up(node: NodeProto) -> bool:
    """Whether a node takes rows from a table."""
    return node.op_type == "Gather" and all(attribute.i == 0 for attribute in node.attribute)


def look_up(node: NodeProto, packed: dict[str, dict[str, np.ndarray]]) -> Iterator[NodeProto]:
    """The same rows from a packed table; the node itself where its table is not."""
    table, place = node.input
    if table not in packed:
        yield node
        return
    (rows,) = node.output
    for end in packed[table]:
        yield helper.make_node("Gather", [table + end, place], [rows + end])
    yield from widened(rows, rows, list(packed[table]))


def widened(packed: str, name: str, ends: list[str]) -> Iterator[NodeProto]:
    """Nodes that make float32 of what is packed, under a name."""
    if len(ends) == 1:
        yield helper.make_node("Cast", [packed + ends[0]], [name], to=TensorProto.FLOAT)
        return
    number, scale = ends
    yield helper.make_node("Cast", [packed + number], [f"{name}.wide"], to=TensorProto.FLOAT)
    yield helper.make_node("Mul", [f"{name}.wide", packed + scale], [name])
