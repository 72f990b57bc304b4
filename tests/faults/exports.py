"""Thirteen faults of exports, each planted in an ONNX file, and what `rec-export onnx` says to it, as users run it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, helper, numpy_helper
from torch import Tensor, nn

import rec_export.models
from exporters.formats import FORMATS
from exporters.onnx import write_onnx
from exporters.parts import Part
from exporters.program import call_of
from rec_export.towers import Input
from tests.conftest import Answer, command
from tests.exporters.conftest import ITEMS, whole, write_checkpoint

Edit = Callable[[ModelProto], None]


@final
class Fault(NamedTuple):
    """A fault, and how it comes into the file of a part: by the module before its export, or by the file after."""

    name: str
    part: str
    module: Callable[[Any], None] | None = None
    file: Callable[[ModelProto], None] | None = None
    frozen: str | None = None  # the axis that is not dynamic, though the file says so
    stale: bool = False


def without_lower_guard(tower: Any) -> None:
    """Ids below zero reach the table."""
    ids = tower.ids
    ids.forward = lambda row: ids.table(torch.where(row >= ids.rows, ids.rows, row))


def without_upper_guard(tower: Any) -> None:
    """Ids past the end are taken for the last one."""
    ids = tower.ids
    ids.forward = lambda row: ids.table(torch.where(row < 0, ids.rows, torch.where(row < ids.rows, row, ids.rows - 1)))


def in_training(tower: Any) -> None:
    """The batch norm takes mean and variance from the batch."""
    norm = tower.norm
    norm.forward = lambda x: nn.functional.batch_norm(x, None, None, norm.weight, norm.bias, training=True)


def padded_on_the_left(tower: Any) -> None:
    """The newest item is taken to stand in the last place."""
    tower.age = lambda history, length: (history.shape[1] - 1 - torch.arange(history.shape[1])).expand(history.shape)


def swapped(tower: Any) -> None:
    """The first category column is looked up as the second."""
    forward = tower.category.forward
    tower.category.forward = lambda category: forward(category.flip(1))


def other_scaler(tower: Any) -> None:
    """The mean is that of other rows."""
    tower.scaled.mean = tower.scaled.mean + 0.005


def without_relu(head: Any) -> None:
    """Residual blocks end without their relu."""

    def joined(both: Tensor) -> Tensor:
        branch, shortcut = both.chunk(2, dim=2)
        return torch.relu(branch) + shortcut

    head.joined = joined


def shifted(tower: Any) -> None:
    """Each item has the row of the one before it."""
    with torch.no_grad():
        table = tower.ids.table.weight
        table[:-1] = table[:-1].roll(1, 0)


def weight(name: str, change: Callable[[np.ndarray[Any, Any]], None]) -> Edit:
    """Change one weight of a file."""

    def edit(model: ModelProto) -> None:
        (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name.endswith(name))
        array = numpy_helper.to_array(tensor).copy()
        change(array)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return edit


def nan_row(table: np.ndarray[Any, Any]) -> None:
    """The row of an item that the dummy input holds."""
    table[dummy_row()] = np.nan


def dummy_row() -> int:
    """The row that every checker reads."""
    return ITEMS // 2


def half(model: ModelProto) -> None:
    """Numbers pass through float16."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "dense":
                node.input[place] = "dense_again"
    low = helper.make_node("Cast", ["dense"], ["dense_low"], to=onnx.TensorProto.FLOAT16)
    high = helper.make_node("Cast", ["dense_low"], ["dense_again"], to=onnx.TensorProto.FLOAT)
    for node in (high, low):
        model.graph.node.insert(0, node)


FAULTS = (
    Fault("frozen batch axis", "item_tower", frozen="N"),
    Fault("frozen history axis", "user_tower", frozen="L"),
    Fault("negative id", "item_tower", module=without_lower_guard),
    Fault("id past the end", "item_tower", module=without_upper_guard),
    Fault("NaN row", "item_tower", file=weight("ids.table.weight", nan_row)),
    Fault("train-mode batch norm", "item_tower", module=in_training),
    Fault("left-padded history", "user_tower", module=padded_on_the_left),
    Fault("swapped feature columns", "item_tower", module=swapped),
    Fault("dropped relu after a residual", "pair_head", module=without_relu),
    Fault("stale external data", "item_tower", stale=True),
    Fault("wrong scaler", "item_tower", module=other_scaler),
    Fault("fp16 overflow", "item_tower", file=half),
    Fault("item rows shifted by one", "item_tower", module=shifted),
)


@contextmanager
def fallible(folder: Path) -> Iterator[Path]:
    """The checkpoint of the model that has a place for every fault, while it is one of the models."""
    models = str(Path(__file__).parent / "models")
    rec_export.models.__path__.append(models)
    try:
        yield write_checkpoint(folder / "checkpoint", "fallible")
    finally:
        rec_export.models.__path__.remove(models)


@final
class Planted(NamedTuple):
    """An export with a fault: what the command line said to it, and where the file is."""

    answer: Answer
    part: Part  # as it was trained
    exported: Part  # as it was exported
    file: Path

    @classmethod
    def by(cls, fault: Fault, checkpoint: Path, right: Path, out: Path) -> "Planted":
        """Export a checkpoint with a fault in one part; the others are those of the `right` bundle."""
        parts = {part.name: part for part in whole(checkpoint)[0]}
        exported = replace(parts[fault.part], module=deepcopy(parts[fault.part].module))
        if fault.module is not None:
            fault.module(exported.module)

        def write(part: Part, path: Path, labels: dict[str, str]) -> None:
            if part.name == fault.part:
                write_faulty(fault, exported, right / "onnx" / path.name, path, labels)
            else:
                shutil.copyfile(right / "onnx" / path.name, path)

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(FORMATS, "onnx", FORMATS["onnx"]._replace(write=write))
            answer = command("-q", "onnx", checkpoint, "--out", out)
        place = out if answer.code == 0 else out.with_name(f"{out.name}.refused") / "export"
        return cls(answer, parts[fault.part], exported, place / "onnx" / f"{fault.part}.onnx")


def write_faulty(fault: Fault, part: Part, right: Path, path: Path, labels: dict[str, str]) -> None:
    """Write a part with what is wrong with its file; what is wrong after the export is done to the `right` file."""
    if fault.file:
        model = onnx.load(right)
        fault.file(model)
        onnx.save_model(model, path)
    elif fault.stale:
        beside = path.with_name(f"{path.name}.data")
        old = onnx.load(right)
        retrained(old)
        save_beside(old, path)
        stale = beside.read_bytes()
        beside.unlink()  # onnx would write behind what is there
        save_beside(onnx.load(right), path)
        beside.write_bytes(stale)
    elif fault.frozen:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("exporters.program.call_of", lambda inputs: frozen_call(inputs, str(fault.frozen)))
            write_onnx(replace(part), path, labels)  # the part may know its right program
        model = onnx.load(path)
        name_axes(model, part)
        onnx.save_model(model, path)
    else:
        write_onnx(part, path, labels)


def save_beside(model: ModelProto, path: Path) -> None:
    """Write a file with its weights beside it; ONNX Runtime wants what is small, as sizes of axes, within."""
    onnx.save_model(model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=100)


def retrained(model: ModelProto) -> None:
    """Put the weights of another training into a file."""
    random = np.random.default_rng(1)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            weights = random.normal(0, 0.3, tuple(tensor.dims)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))


def frozen_call(inputs: tuple[Input, ...], letter: str) -> dict[str, Any]:
    """The call for torch.export with one axis as it is in the example."""
    call = call_of(inputs)
    axes = {
        port.name: {
            place: dim for place, dim in call["dynamic_shapes"][port.name].items() if port.shape[place] != letter
        }
        for port in inputs
    }
    return {**call, "dynamic_shapes": axes}


def name_axes(model: ModelProto, part: Part) -> None:
    """Say of every axis that it may vary, as a file does whose graph holds a size that was seen once."""
    del model.graph.value_info[:]
    for value, port in zip([*model.graph.input, *model.graph.output], [*part.inputs, part.output], strict=True):
        for axis, name in zip(value.type.tensor_type.shape.dim, port.shape, strict=True):
            if isinstance(name, str):
                axis.dim_param = name
