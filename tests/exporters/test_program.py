"""A part has one program, which serves every format and is left as it was; where there is none, one line says so."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from exporters.formats import FORMATS
from exporters.parts import Part
from exporters.program import program_of
from rec_export.choices import Runtime
from rec_export.errors import ParityError
from rec_export.towers import Input, Inputs

ROWS = (Input(name="row", dtype="int64", shape=("B",)),)
VECTOR = Input(name="user_vec", dtype="float32", shape=("B", 4))


class Plain(nn.Module):
    """A look-up, once written twice, and a product of one row, which AOTInductor wants as two."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)

    def forward(self, inputs: Inputs) -> Tensor:
        """int64 [B] -> float32 [B, 4]."""
        row = inputs["row"] % 5
        both = torch.stack([self.table(row), self.table(row)], 1)
        return torch.bmm(both[:, :1] @ both.transpose(1, 2), both).squeeze(1)


class Frozen(Plain):
    """One that does something else for three rows."""

    def forward(self, inputs: Inputs) -> Tensor:
        """int64 [B] -> float32 [B, 4]."""
        found = super().forward(inputs)
        return found + 1 if found.shape[0] == 3 else found


class Branching(Plain):
    """One that looks at what it reads."""

    def forward(self, inputs: Inputs) -> Tensor:
        """int64 [B] -> float32 [B, 4]."""
        found = super().forward(inputs)
        return found + 1 if found.sum() > 0 else found


def test_all_formats_take_the_same_program_and_leave_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[nn.Module] = []

    def noted(module: nn.Module, inputs: tuple[Input, ...]) -> torch.export.ExportedProgram:
        asked.append(module)
        return program_of(module, inputs)

    monkeypatch.setattr("exporters.parts.program_of", noted)
    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", lambda *program, **how: None)
    part = Part("user_tower", Plain().eval(), ROWS, VECTOR)
    before = str(part.program.graph)
    forms: tuple[Runtime, ...] = ("onnx", "aoti", "pt2", "onnx")
    for form in forms:
        FORMATS[form].write(part, tmp_path / form, {})
    assert asked == [part.module] * 2  # one for all, and one that AOTInductor may change
    assert str(part.program.graph) == before
    assert FORMATS["onnx"].fault(part, tmp_path / "onnx", {}) is None


@pytest.mark.parametrize("tower", [Frozen, Branching])
@pytest.mark.parametrize("form", ["onnx", "pt2", "aoti"])
def test_a_part_without_a_program_for_all_sizes_is_refused_in_one_line(
    tower: type[nn.Module], form: Runtime, tmp_path: Path
) -> None:
    part = Part("user_tower", tower().eval(), ROWS, VECTOR)
    with pytest.raises(ParityError, match=r"^torch\.export finds no program in the user_tower, .*--format") as refused:
        FORMATS[form].write(part, tmp_path / form, {})
    assert (refused.value.exit_code, "\n" in str(refused.value)) == (81, False)
