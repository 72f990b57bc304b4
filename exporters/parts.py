"""The three parts of a model as an exporter sees them: a module, its named inputs, and its output."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from exporters.program import example, program_of, shorten
from rec_export.checkpoint import Blueprint
from rec_export.errors import ParityError
from rec_export.towers import Head, Input, Inputs, Towers


@final
@dataclass(frozen=True)
class Part:
    """A tower or the head."""

    name: str
    module: nn.Module
    inputs: tuple[Input, ...]
    output: Input

    @property
    def signature(self) -> str:
        """How to call it, such as "row int64[B] -> float32[B,66]"."""
        return f"{', '.join(map(described, self.inputs))} -> {typed(self.output)}"

    @cached_property
    def program(self) -> ExportedProgram:
        """What torch.export finds in it, shortened; found once for all formats, and not to be changed."""
        program = self.traced()
        shorten(program.graph)
        return program

    def traced(self) -> ExportedProgram:
        """What torch.export finds in it, anew. Raises ParityError where no program is for all sizes of the axes."""
        try:
            return program_of(self.module, self.inputs)
        except RuntimeError as error:
            said = str(error).strip().splitlines()
            raise ParityError(
                f"torch.export finds no program in the {self.name}, from which all formats but torchscript are made"
                f" ({said[0] if said else type(error).__name__}); let no branch depend on shapes or numbers, or take"
                " `--format torchscript`"
            ) from error

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
