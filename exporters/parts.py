"""The three parts of a model as an exporter sees them: a module, its named inputs, and its output."""

from inspect import Parameter, Signature
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from rec_export.checkpoint import Blueprint
from rec_export.towers import Head, Input, Inputs, Towers

EXAMPLE = {"B": 3, "N": 5, "L": 6, "T": 4}  # axes of the export's example: above 1, which torch.export takes for fixed
LONGER = 7  # of an axis whose letter is not above


@final
class Part(NamedTuple):
    """A tower or the head."""

    name: str
    module: nn.Module
    inputs: tuple[Input, ...]
    output: Input

    @property
    def signature(self) -> str:
        """How to call it, such as "row int64[B] -> float32[B,66]"."""
        return f"{', '.join(map(described, self.inputs))} -> {typed(self.output)}"

    def run(self, inputs: Inputs) -> Tensor:
        """The output; a tower takes all inputs as one dictionary, the head takes its two one by one."""
        return called(self.module, inputs)


def called(module: nn.Module, inputs: Inputs) -> Tensor:
    """A tower's or a head's output, without gradients."""
    with torch.inference_mode():
        return module(inputs["user_vec"], inputs["item_vec"]) if isinstance(module, Head) else module(inputs)


def spelled(inputs: tuple[Input, ...], outputs: tuple[Input, ...]) -> str:
    """How to call a file with several outputs."""
    return f"{', '.join(map(described, inputs))} -> {', '.join(map(described, outputs))}"


def described(port: Input) -> str:
    """Name, dtype and shape, such as "history int64[B,L]"."""
    return f"{port.name} {typed(port)}"


def typed(port: Input) -> str:
    """dtype and shape, such as int64[B,L]."""
    return f"{port.dtype}[{','.join(str(axis) for axis in port.shape)}]"


def example(inputs: tuple[Input, ...]) -> Inputs:
    """Zeros of an input's shape, from which torch.export reads the dtypes and ranks."""
    letters = {axis for port in inputs for axis in port.shape if isinstance(axis, str)}
    sizes = {letter: EXAMPLE.get(letter, LONGER) for letter in letters}
    return {port.name: port.zeros(sizes) for port in inputs}


def by_name(part: Part) -> nn.Module:
    """The module with its inputs as keyword arguments: torch.export takes those by name, a dictionary's by place."""
    if isinstance(part.module, Head):
        return part.module

    def forward(**inputs: Tensor) -> Tensor:
        return part.module(inputs)

    named = nn.Module()
    named.part = part.module
    named.forward = forward
    parameters = [Parameter(port.name, Parameter.KEYWORD_ONLY) for port in part.inputs]
    setattr(forward, "__signature__", Signature(parameters))  # noqa: B010, mypy knows no such attribute
    return named.eval()


def call_of(part: Part) -> dict[str, Any]:
    """The example call of `by_name` for torch.export, with the axes that may vary: every axis that has a letter."""
    letters = {axis: torch.export.Dim(axis) for port in part.inputs for axis in port.shape if isinstance(axis, str)}
    axes = {
        port.name: {place: letters[axis] for place, axis in enumerate(port.shape) if isinstance(axis, str)}
        for port in part.inputs
    }
    return {"args": (), "kwargs": example(part.inputs), "dynamic_shapes": axes}


def parts_of(towers: Towers, blueprint: Blueprint) -> tuple[Part, Part, Part]:
    """The user tower, the item tower and the head. Raises ValueError when a module is in training mode."""
    spec, sizes = blueprint.spec(), blueprint.sizes
    user = tower("user", towers.user_tower, spec.user_inputs(sizes))
    item = tower("item", towers.item_tower, spec.item_inputs(sizes))
    score = Input(name="score", dtype="float32", shape=("B", "N"))
    head = Part("pair_head", in_eval_mode(towers.pair_head), (user.output, item.output), score)
    return user, item, head


def tower(side: str, module: nn.Module, inputs: tuple[Input, ...]) -> Part:
    """The tower of one side; how wide its vectors are is learned by calling it."""
    width = called(in_eval_mode(module), example(inputs)).shape[1]
    output = Input(name=f"{side}_vec", dtype="float32", shape=(inputs[0].shape[0], width))
    return Part(f"{side}_tower", module, inputs, output)


def in_eval_mode(module: nn.Module) -> nn.Module:
    """The same module. Raises ValueError when a part of it would still drop out or update its statistics."""
    training = [name or "the module itself" for name, part in module.named_modules() if part.training]
    if training:
        raise ValueError(
            f"{len(training)} modules are in training mode, the first being {training[0]}; call eval() first"
        )
    return module
