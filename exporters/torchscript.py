"""One part as TorchScript: scripted from the eager module, frozen, with its labels inside the file."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from exporters.parts import Part
from rec_export.towers import Head

LABELS = "rec_export.json"


def write_torchscript(part: Part, path: Path, labels: dict[str, str]) -> None:
    """Write {part}.pt."""
    with undeprecated():
        scripted = torch.jit.freeze(torch.jit.script(part.module))
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
