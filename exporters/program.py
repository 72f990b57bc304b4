"""What torch.export finds in a module: the program that the pt2 file holds and the ONNX file is translated from."""

import sys
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.fx import Graph, Node

from rec_export.towers import Head, Input, Inputs

EXAMPLE = {"B": 3, "N": 5, "L": 6, "T": 4}  # axes of the export's example: above 1, which torch.export takes for fixed
LONGER = 7  # of an axis whose letter is not above
CHECK, SLICE = torch.ops.aten._assert_tensor_metadata.default, torch.ops.aten.slice.Tensor


def program_of(module: nn.Module, inputs: tuple[Input, ...]) -> ExportedProgram:
    """What torch.export finds in a module that takes these inputs."""
    with torch.no_grad():
        return torch.export.export(by_name(module, inputs), **call_of(inputs))


def by_name(module: nn.Module, inputs: tuple[Input, ...]) -> nn.Module:
    """The module with its inputs as keyword arguments: torch.export takes those by name, a dictionary's by place."""
    if isinstance(module, Head):
        return module

    def forward(**inputs: Tensor) -> Tensor:
        return module(inputs)

    named = nn.Module()
    named.part = module
    named.forward = forward
    parameters = [Parameter(port.name, Parameter.KEYWORD_ONLY) for port in inputs]
    setattr(forward, "__signature__", Signature(parameters))  # noqa: B010, mypy knows no such attribute
    return named.eval()


def call_of(inputs: tuple[Input, ...]) -> dict[str, Any]:
    """The example call of `by_name` for torch.export, with the axes that may vary: every axis that has a letter."""
    letters = {axis: torch.export.Dim(axis) for port in inputs for axis in port.shape if isinstance(axis, str)}
    axes = {
        port.name: {place: letters[axis] for place, axis in enumerate(port.shape) if isinstance(axis, str)}
        for port in inputs
    }
    return {"args": (), "kwargs": example(inputs), "dynamic_shapes": axes}


def example(inputs: tuple[Input, ...]) -> Inputs:
    """Zeros of an input's shape, from which torch.export reads the dtypes and ranks."""
    letters = {axis for port in inputs for axis in port.shape if isinstance(axis, str)}
    sizes = {letter: EXAMPLE.get(letter, LONGER) for letter in letters}
    return {port.name: port.zeros(sizes) for port in inputs}


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
