"""One part as pt2: the program that torch.export finds in the eager module, with its labels inside the file."""

from collections.abc import Sequence
from pathlib import Path

from torch.export import ExportedProgram
from torch.fx import Node

from exporters.parts import Part, described
from rec_export.errors import ModelError
from rec_export.pt2 import pt2_bytes, read_pt2
from rec_export.towers import Input


def write_pt2(part: Part, path: Path, labels: dict[str, str]) -> None:
    """Write {part}.pt2."""
    path.write_bytes(pt2_bytes(part.program, labels))


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
