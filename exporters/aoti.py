"""One part as an AOTInductor package: the program of torch.export, compiled to native code for this machine alone."""

from pathlib import Path

import torch
from torch.fx import Graph

from exporters.onnx import quiet
from exporters.parts import Part
from rec_export.aoti import check_machine, labels_of, machine
from rec_export.errors import EnvironmentMissingError, ModelError

PRODUCT, BESIDE, SLICE = torch.ops.aten.bmm.default, torch.ops.aten.cat.default, torch.ops.aten.slice.Tensor


def write_aoti(part: Part, path: Path, labels: dict[str, str]) -> None:
    """Write {part}.pt2; `check_compiler` says beforehand whether it can be."""
    from torch._inductor import aoti_compile_and_package  # here, as the other formats do without the compiler

    with quiet(), torch.no_grad():
        program = part.traced()  # one of its own, as it is changed
        widen(program.graph)
        # one thread, as for the other formats: the number would be compiled in
        settings = {"aot_inductor.metadata": {**labels, **machine()}, "cpp.threads": 1}
        aoti_compile_and_package(program, package_path=str(path), inductor_configs=settings)


def widen(graph: Graph) -> None:
    """Make of products of one row, [B, 1, L] times [B, L, D], products of two, of which one is kept.

    AOTInductor makes a sum of a product of one row and looks up what is summed for every few columns anew, which takes
    twice as long for histories; a product of two rows it leaves to a library.
    """
    for node in graph.find_nodes(op="call_function", target=PRODUCT):
        row, matrix = node.args
        if row.meta["val"].shape[1] == 1:
            with graph.inserting_before(node):
                rows = graph.call_function(BESIDE, ([row, row], 1))
                both = graph.call_function(PRODUCT, (rows, matrix))
                kept = graph.call_function(SLICE, (both, 1, 0, 1))
            node.replace_all_uses_with(kept)
            graph.erase_node(node)


def check_compiler() -> None:
    """Raise EnvironmentMissingError where there is no C++ compiler."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise EnvironmentMissingError(
            "an AOTInductor package needs a C++ compiler, and there is none here; install g++, name another in CXX, or"
            " leave `--format aoti` out"
        ) from error


def aoti_fault(part: Part, path: Path, labels: dict[str, str]) -> str | None:
    """How the file's labels are not the part's, or None; what it takes and gives is known by running it alone.

    Raises EnvironmentMissingError where it was compiled for another machine.
    """
    try:
        found = labels_of(path)
    except ModelError as error:
        return str(error)
    if {name: found.get(name) for name in labels} != labels:
        return f"its labels are {found}"
    check_machine(path)
    return None
