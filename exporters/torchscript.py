"""One part as TorchScript: scripted from the eager module, frozen, with its labels inside the file."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from exporters.parts import Part
from rec_export.towers import Head, Inputs

LABELS = "rec_export.json"


@final
class OneBatch(nn.Module):
    """A tower that refuses inputs of different numbers of rows: torch would stretch one row to many in silence."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.tower = part.module
        self.names = [port.name for port in part.inputs if port.shape[:1] == part.output.shape[:1]]

    def forward(self, inputs: Inputs) -> Tensor:
        """The named inputs of a tower -> float32 [B, D]."""
        rows = [inputs[name].shape[0] for name in self.names]
        for place, name in enumerate(self.names):
            if rows[place] != rows[0]:
                raise ValueError(f"{name} has {rows[place]} rows, and {self.names[0]} {rows[0]}")
        return self.tower(inputs)


def write_torchscript(part: Part, path: Path, labels: dict[str, str]) -> None:
    """Write {part}.pt."""
    with undeprecated():
        module = part.module if isinstance(part.module, Head) else OneBatch(part)
        scripted = torch.jit.freeze(torch.jit.script(module.eval()))
    # torch's own writer reports a full disk as a RuntimeError; ours as the OSError that it is
    path.write_bytes(scripted.save_to_buffer(_extra_files={LABELS: json.dumps(labels)}))


def torchscript_fault(part: Part, path: Path, labels: dict[str, str]) -> str | None:
    """How the file differs from the part in what it takes and gives, or None."""
    found = {LABELS: ""}
    with undeprecated():
        schema = torch.jit.load(path, _extra_files=found).forward.schema
    takes = [str(argument.type) for argument in schema.arguments[1:]]
    wanted = ["Tensor", "Tensor"] if isinstance(part.module, Head) else ["Dict[str, Tensor]"]
    if takes != wanted:
        return f"it takes {', '.join(takes)} instead of {', '.join(wanted)}"
    if json.loads(found[LABELS]) != labels:
        return f"its labels are {found[LABELS]}"
    return None


@contextmanager
def undeprecated() -> Iterator[None]:
    """Without torch's advice to use torch.export: TorchScript is a format that we promise."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        yield
