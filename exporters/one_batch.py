"""A call is about the same rows in all inputs: ONNX Runtime would stretch one row to many, so graphs look."""

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper


def hold_together(model: ModelProto) -> None:
    """Let a graph refuse inputs whose first axes have one name but not one size.

    Each but the first is given the rows of the first by a Reshape, which fails where the numbers do not add up.
    """
    taken = names_in(model.graph)

    def free(name: str) -> str:
        """A name that nothing has: columns may be called anything."""
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    first: dict[str, str] = {}  # axis -> its size, of the first input that has it
    held: dict[str, str] = {}
    checks: list[NodeProto] = []
    for port in model.graph.input:
        axis, *rest = port.type.tensor_type.shape.dim or [None]
        if axis is None or not axis.dim_param:
            continue
        if axis.dim_param not in first:
            first[axis.dim_param] = free(f"{axis.dim_param}_of_{port.name}")
            checks.append(helper.make_node("Shape", [port.name], [first[axis.dim_param]], start=0, end=1))
            continue
        size, held[port.name] = first[axis.dim_param], free(f"{port.name}_of_one_batch")
        if rest:
            width, size = free(f"{port.name}_width"), free(f"{port.name}_shape")
            if all(other.HasField("dim_value") for other in rest):
                numbers = [other.dim_value for other in rest]
                model.graph.initializer.append(helper.make_tensor(width, TensorProto.INT64, [len(rest)], numbers))
            else:
                checks.append(helper.make_node("Shape", [port.name], [width], start=1))
            checks.append(helper.make_node("Concat", [first[axis.dim_param], width], [size], axis=0))
        name = f"as_many_rows_of_{port.name}"  # which ONNX Runtime tells where it fails
        checks.append(helper.make_node("Reshape", [port.name, size], [held[port.name]], name=name, allowzero=1))
    rename(model.graph, held)
    nodes = [*checks, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def names_in(graph: GraphProto) -> set[str]:
    """The names of all values of a graph, and of the graphs inside it."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    for node in graph.node:
        names |= {*node.input, *node.output}
        for attribute in node.attribute:
            if attribute.HasField("g"):
                names |= names_in(attribute.g)
    return names


def rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Let all nodes of a graph, and of the graphs inside them, read other values."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                rename(attribute.g, names)
