"""One part as pt2: the program that torch.export finds in the eager module, with its labels inside the file."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.fx import Graph, Node

from exporters.parts import Part, by_name, call_of, described
from rec_export.errors import ModelError
from rec_export.pt2 import pt2_bytes, read_pt2
from rec_export.towers import Input

CHECK, SLICE = torch.ops.aten._assert_tensor_metadata.default, torch.ops.aten.slice.Tensor


def write_pt2(part: Part, path: Path, labels: dict[str, str]) -> None:
    """Write {part}.pt2."""
    program = program_of(part)
    shorten(program.graph)
    path.write_bytes(pt2_bytes(program, labels))


def program_of(part: Part) -> ExportedProgram:
    """What torch.export finds in a part."""
    with torch.no_grad():
        return torch.export.export(by_name(part), **call_of(part))


def shorten(graph: Graph) -> None:
    """Take out what changes nothing: repeated steps, slices of everything, checks of types that are always the same.

    torch runs a program step by step from Python, where each costs as long as a thousand numbers do. A program that
    writes into a tensor is left as it is: what two equal steps gave need not stay equal there.
    """
    known: dict[str, Node] = {}
    steps = [node for node in graph.nodes if node.op == "call_function"]
    if any(isinstance(step.target, OpOverload) and step.target._schema.is_mutable for step in steps):
        return
    for node in steps:
        if node.target is CHECK:
            graph.erase_node(node)
            continue
        whole = node.target is SLICE and node.args[2:] == (0, sys.maxsize)
        same = node.args[0] if whole else known.setdefault(str((node.target, node.args, node.kwargs)), node)
        if same is not node and graph.output_node() not in node.users:
            node.replace_all_uses_with(same)
            graph.erase_node(node)


def pt2_fault(part: Part, path: Path, labels: dict[str, str]) -> str | None:
    """How the file differs from the part in what it takes and gives, or None."""
    try:
        program, found = read_pt2(path)
    except ModelError as error:
        return str(error)
    wanted = (*part.inputs, part.output)
    ports = read_ports(program, wanted)
    if ports != [described(port) for port in wanted]:
        return f"its inputs and outputs are {', '.join(ports)} instead of {', '.join(map(described, wanted))}"
    if found != labels:
        return f"its labels are {found}"
    return None


def read_ports(program: ExportedProgram, ports: Sequence[Input]) -> list[str]:
    """Inputs and output in the words of parts.described; an axis has the letter that a port gives it first."""
    user_inputs = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in user_inputs]
    (output,) = program.graph.output_node().args[0]
    letters: dict[str, str] = {}
    for node, port in zip([*nodes, output], ports, strict=False):
        for size, axis in zip(node.meta["val"].shape, port.shape, strict=False):
            letters.setdefault(str(size), str(axis))
    names = [*(node.name for node in nodes), ports[-1].name]
    return [f"{name} {kind(node, letters)}" for name, node in zip(names, [*nodes, output], strict=True)]


def kind(node: Node, letters: dict[str, str]) -> str:
    """dtype and shape of a value, such as int64[B,L]; a size that is fixed is a number."""
    value = node.meta["val"]
    axes = [str(size) if isinstance(size, int) else letters.get(str(size), str(size)) for size in value.shape]
    return f"{str(value.dtype).removeprefix('torch.')}[{','.join(axes)}]"
